"""Reads the alarms of an API that have gone off: replicas may be all there, and answer nothing but errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud


@dataclass(frozen=True)
class Alarm:
    """One alarm in state ALARM.

    Attributes:
        name: Its name in CloudWatch.
        since: When it went off.
        description: What it is about, in one line.
    """

    name: str
    since: datetime
    description: str

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return {"name": self.name, "since": self.since.isoformat(), "description": self.description}


def read_alarms(cloud: Cloud, cluster: str, api: str) -> tuple[Alarm, ...]:
    """Read the alarms of an API that have gone off, with one call.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API's name.
    """
    answer = cloud.cloudwatch.describe_alarms(
        AlarmNames=[names.alarm(cluster, api, subject) for subject in names.ALARM_SUBJECTS],
        AlarmTypes=["MetricAlarm"],
        StateValue="ALARM",
    )
    return tuple(
        Alarm(
            name=alarm["AlarmName"],
            since=alarm.get("StateTransitionedTimestamp", alarm["StateUpdatedTimestamp"]),
            description=alarm.get("AlarmDescription", ""),
        )
        for alarm in answer["MetricAlarms"]
    )
