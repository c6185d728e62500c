"""What a group has done to get its size: the scaling activities of DescribeScalingActivities, in AWS's words."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

SUCCESSFUL, FAILED = "Successful", "Failed"
KEPT = 50
"""Activities of a group. AWS keeps those of six weeks."""


@dataclass(frozen=True)
class Activity:
    """One scaling activity that has ended.

    Attributes:
        group: Name of the Auto Scaling group.
        description: Such as ``Launching a new EC2 instance: i-1``.
        cause: Why the group did so.
        status: ``Successful`` or ``Failed``.
        message: Why the activity failed; empty where it did not.
        details: The zone and the subnet.
        began: When the activity began.
        ended: When the activity ended.
    """

    group: str
    description: str
    cause: str
    status: str
    message: str
    details: dict[str, str]
    began: datetime
    ended: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def as_answer(self) -> dict[str, Any]:
        """Return the activity as DescribeScalingActivities shows it."""
        shown = {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.began,
            "EndTime": self.ended,
            "StatusCode": self.status,
            "Progress": 100,
            "Details": json.dumps(self.details),
        }
        return {**shown, "StatusMessage": self.message} if self.message else shown


def launched(group: str, instance: str, details: dict[str, str], began: float) -> Activity:
    """Return the activity of an instance that is in service.

    Args:
        group: Name of the Auto Scaling group.
        instance: Id of the instance.
        details: The zone and the subnet.
        began: When the instance was launched, in seconds since the epoch.
    """
    start = datetime.fromtimestamp(began, timezone.utc)
    text = f"Launching a new EC2 instance: {instance}"
    return Activity(group, text, _started(start), SUCCESSFUL, "", details, start, datetime.now(timezone.utc))


def not_launched(group: str, reason: str, details: dict[str, str]) -> Activity:
    """Return the activity of an instance that EC2 did not launch.

    Source of the words: the outputs of ``describe-scaling-activities`` in kubernetes/autoscaler issue 1263 and
    aws/aws-parallelcluster issue 1944.

    Args:
        group: Name of the Auto Scaling group.
        reason: EC2's message.
        details: The zone and the subnet.
    """
    now = datetime.now(timezone.utc)
    message = f"{reason} Launching EC2 instance failed."
    text = f"Launching a new EC2 instance.  Status Reason: {message}"
    return Activity(group, text, _started(now), FAILED, message, details, now, now)


def ended(group: str, instance: str) -> Activity:
    """Return the activity of an instance that was terminated."""
    return _terminated(group, instance, f"instance {instance} was selected for termination.")


def interrupted(group: str, instance: str) -> Activity:
    """Return the activity of a spot instance that EC2 has taken back.

    Source of the words: "Troubleshoot ... instance health checks" of the EC2 Auto Scaling user guide.
    """
    cause = (
        "an instance was taken out of service in response to an EC2 health check that indicated it has been terminated "
        "or stopped."
    )
    return _terminated(group, f"{instance} (Server.SpotInstanceTermination: Spot instance termination)", cause)


def _terminated(group: str, instance: str, cause: str) -> Activity:
    now = datetime.now(timezone.utc)
    text, cause = f"Terminating EC2 instance: {instance}", f"At {now:%Y-%m-%dT%H:%M:%SZ} {cause}"
    return Activity(group, text, cause, SUCCESSFUL, "", {}, now, now)


def _started(moment: datetime) -> str:
    return (
        f"At {moment:%Y-%m-%dT%H:%M:%SZ} an instance was started in response to a difference between desired and "
        "actual capacity."
    )
