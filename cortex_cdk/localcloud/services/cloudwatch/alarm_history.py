"""What has become of alarms, as DescribeAlarmHistory shows it. Source: the API reference of AlarmHistoryItem."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from moto.cloudwatch.models import Alarm

PAGE = 100
"""Items of a page, unless the request says another number."""
KEPT = 100
"""Changes of state that an alarm keeps. CloudWatch keeps them for 30 days."""


def items(
    alarms: Iterable[Alarm],
    *,
    name: str | None = None,
    kind: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> list[dict[str, Any]]:
    """Return the history of alarms, the newest item first.

    Args:
        alarms: The alarms.
        name: Only of the alarm with this name.
        kind: Only items of this type, such as ``StateUpdate``.
        since: Only items from then on, in seconds since the epoch.
        until: Only items up to then.
    """
    found = [
        item
        for alarm in alarms
        if name in (None, alarm.name)
        for item in _of(alarm)
        if kind in (None, item["HistoryItemType"])
        and (since is None or item["Timestamp"].timestamp() >= since)
        and (until is None or item["Timestamp"].timestamp() <= until)
    ]
    return sorted(found, key=lambda item: item["Timestamp"], reverse=True)


def _of(alarm: Alarm) -> Iterator[dict[str, Any]]:
    """The items of one alarm, the oldest first. moto keeps for each change the state that was left."""
    common = {"AlarmName": alarm.name, "AlarmType": "MetricAlarm" if alarm.rule is None else "CompositeAlarm"}
    yield {
        **common,
        "Timestamp": _aware(alarm.configuration_updated_timestamp),
        "HistoryItemType": "ConfigurationUpdate",
        "HistorySummary": f'Alarm "{alarm.name}" created',
        "HistoryData": json.dumps({"version": "1.0", "type": "Create"}),
    }
    states = [(state, reason, moment) for _, reason, _, state, moment in alarm.history]
    states.append((alarm.state_value, alarm.state_reason, alarm.state_updated_timestamp))
    for (old, old_reason, _), (new, reason, moment) in itertools.pairwise(states):
        if old != new:
            data = {
                "version": "1.0",
                "oldState": {"stateValue": old, "stateReason": old_reason},
                "newState": {"stateValue": new, "stateReason": reason},
            }
            yield {
                **common,
                "Timestamp": _aware(moment),
                "HistoryItemType": "StateUpdate",
                "HistorySummary": f"Alarm updated from {old} to {new}",
                "HistoryData": json.dumps(data),
            }


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
