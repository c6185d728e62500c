"""Writes the embedded metric format: log lines that CloudWatch turns into metrics (aws.md 5.2).

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from cortex_serving.contract import METRIC_NAMESPACE, METRICS_FIELD
from cortex_serving.logs.lines import iso


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


def emf_line(
    dimensions: Mapping[str, str], metrics: Sequence[Metric], fields: Mapping[str, Any] = MappingProxyType({})
) -> bytes:
    """Return a log line (JSON, without newline) that carries metrics with the same dimensions.

    Args:
        dimensions: Those of the metrics.
        metrics: With their values.
        fields: Further fields of the line, which are no metrics.
    """
    now = time.time()
    definitions = [
        {"Name": metric.name, "Unit": metric.unit, "StorageResolution": metric.resolution} for metric in metrics
    ]
    directive = {"Namespace": METRIC_NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": definitions}
    record: dict[str, Any] = {
        "time": iso(now),
        "level": "INFO",
        "event": "metrics",
        METRICS_FIELD: {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]},
    }
    record.update(dimensions)
    record.update((metric.name, metric.value) for metric in metrics)
    record.update(fields)
    return orjson.dumps(record)
