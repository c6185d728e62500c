"""Replaces moto's CloudWatch Logs: embedded metrics become metrics, and filters match what they say or are refused."""

from __future__ import annotations

import time
from typing import Any

import moto.logs.models
import moto.logs.urls
from moto.logs.models import LogEvent, LogsBackend, logs_backends

from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.cloudwatch.store import key
from cortex_cdk.localcloud.services.logs.embedded_metrics import measurements
from cortex_cdk.localcloud.services.logs.filter_patterns import EventFilter


class LocalLogs(LogsBackend):
    """moto's CloudWatch Logs, which also makes metrics of the events that carry them."""

    @property
    def _url_module(self) -> Any:
        # moto derives the module from the class, which is ours here.
        return moto.logs.urls

    def put_log_events(self, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]) -> Any:
        """Keep log events (PutLogEvents), and add the metrics in them."""
        answer = super().put_log_events(log_group_name, log_stream_name, log_events)
        store = cloudwatch.store(self.region_name)
        for event in log_events:
            for found in measurements(event["message"]):
                metric = key(found.namespace, found.name, found.dimensions)
                store.merge(metric, found.measured, at=found.at, unit=found.unit)
        return answer


def install() -> None:
    """Make moto use these logs and filter patterns. Call this before their first use. More calls change nothing."""
    logs_backends.backend = LocalLogs
    vars(moto.logs.models)["EventMessageFilter"] = EventFilter
    # moto counts from 0. The ids must differ from the ids of events that an earlier daemon has stored.
    LogEvent._event_id = max(LogEvent._event_id, time.time_ns() // 1000)
