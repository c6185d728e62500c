"""Writes the embedded metric format: log lines that CloudWatch turns into metrics (aws.md 5.2).

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from cortex_serving.logs.lines import iso

NAMESPACE = "Cortex"
REPORT_SECONDS = 10.0


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: The metric's name.
        value: A number, or a distribution (``Histogram.report``).
        unit: A unit of CloudWatch, such as ``Count`` or ``Milliseconds``.
        resolution: Seconds for which CloudWatch stores a value: 1 or 60.
    """

    name: str
    value: float | Mapping[str, Any]
    unit: str = "Count"
    resolution: int = 60


def dimensions_of(cluster: str, api: str) -> dict[str, str]:
    """Return the dimensions of an API's metrics. The cluster is one: clusters of an account may share API names."""
    return {**({"Cluster": cluster} if cluster else {}), "Api": api}


def emf_line(dimensions: Mapping[str, str], metrics: Sequence[Metric]) -> bytes:
    """Return a log line (JSON, without newline) that carries metrics with the same dimensions."""
    now = time.time()
    definitions = [
        {"Name": metric.name, "Unit": metric.unit, "StorageResolution": metric.resolution} for metric in metrics
    ]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": definitions}
    record: dict[str, Any] = {
        "time": iso(now),
        "level": "INFO",
        "event": "metrics",
        "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]},
    }
    record.update(dimensions)
    record.update((metric.name, metric.value) for metric in metrics)
    return orjson.dumps(record)
