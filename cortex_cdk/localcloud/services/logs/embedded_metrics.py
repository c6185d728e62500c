"""Metrics inside of log events: CloudWatch's embedded metric format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cdk.localcloud.services.cloudwatch.store import Bucket

MARK = '"_aws"'
"""Every such event has this member; others are not parsed."""


@dataclass(frozen=True)
class Measurement:
    """What one log event says of one metric.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        dimensions: Its dimensions.
        measured: The values and their totals.
        at: Seconds since the epoch.
        unit: CloudWatch's unit, if the event gives one.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    measured: Bucket
    at: float
    unit: str | None


def measurements(message: str) -> Iterator[Measurement]:
    """Return the metrics that a log event carries; none if it carries none or breaks the format.

    Args:
        message: The event's message. Source of its form: "Embedded metric format specification" of the
            CloudWatch guide.
    """
    if MARK not in message:
        return
    try:
        event = json.loads(message)
        at = float(event["_aws"]["Timestamp"]) / 1000
        for directive in event["_aws"]["CloudWatchMetrics"]:
            yield from _directive(event, directive, at)
    except (ValueError, KeyError, TypeError):
        # CloudWatch, too, keeps such an event as a log line and makes no metric of it.
        return


def _directive(event: Mapping[str, Any], directive: Mapping[str, Any], at: float) -> Iterator[Measurement]:
    for names in directive.get("Dimensions") or [[]]:
        dimensions = {name: str(event[name]) for name in names}
        for metric in directive["Metrics"]:
            measured = _measured(event[metric["Name"]])
            if measured.count:
                yield Measurement(directive["Namespace"], metric["Name"], dimensions, measured, at, metric.get("Unit"))


def _measured(found: Any) -> Bucket:
    """Return a number, a list of numbers, or a distribution: values with counts, beside exact totals."""
    bucket = Bucket()
    if not isinstance(found, Mapping):
        for value in found if isinstance(found, list) else [found]:
            bucket.add(float(value))
        return bucket
    for value, count in zip(found.get("Values", []), found.get("Counts", []), strict=True):
        bucket.add(float(value), float(count))
    bucket.count, bucket.total = float(found["Count"]), float(found["Sum"])
    bucket.minimum, bucket.maximum = float(found["Min"]), float(found["Max"])
    return bucket
