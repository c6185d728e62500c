"""Replaces moto's CloudWatch Logs: embedded metrics become metrics, and filters match what they say or are refused."""

from __future__ import annotations

import time
from typing import Any

import moto.logs.models
import moto.logs.urls
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogEvent, LogsBackend, logs_backends

from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.cloudwatch.store import key
from cortex_cdk.localcloud.services.logs.embedded_metrics import measurements

QUOTE = '"'


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


class EventFilter:
    """A filter pattern: one phrase in quotation marks, words that must all be in the event, or ``?word ?word``: any.

    moto would let all other patterns match everything, which is worse than a refusal
    (``moto.logs.utils.EventMessageFilter``). Source of the forms: "Filter pattern syntax" of the CloudWatch Logs guide.

    Args:
        pattern: The pattern. None, or an empty text, matches all events.

    Raises:
        InvalidParameterException: The pattern has another form.
    """

    def __init__(self, pattern: str | None) -> None:
        text = (pattern or "").strip()
        is_phrase = len(text) > 1 and text[0] == text[-1] == QUOTE
        terms = [text[1:-1]] if is_phrase else text.split()
        # With other words, CloudWatch ignores those with a question mark.
        self._any = bool(terms) and not is_phrase and all(len(term) > 1 and term[0] == "?" for term in terms)
        self._terms = [term[1:] for term in terms] if self._any else terms
        if text.startswith(("{", "[", "%")) or any(QUOTE in term or term[:1] in "-?" for term in self._terms):
            raise InvalidParameterException(
                f"Invalid filter pattern, or one that the local cloud does not know (it knows words, ?words, and one "
                f"phrase in quotation marks): {pattern}"
            )

    def matches(self, message: str) -> bool:
        """Return whether a message matches."""
        found = (term in message for term in self._terms)
        return any(found) if self._any else all(found)


def install() -> None:
    """Make moto use these logs and filter patterns. Call this before their first use. More calls change nothing."""
    logs_backends.backend = LocalLogs
    vars(moto.logs.models)["EventMessageFilter"] = EventFilter
    # moto counts from 0. The ids must differ from the ids of events that an earlier daemon has stored.
    LogEvent._event_id = max(LogEvent._event_id, time.time_ns() // 1000)
