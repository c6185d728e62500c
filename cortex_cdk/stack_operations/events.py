"""Reads a stack's events: progress while an operation runs, and the first cause when it failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.denials import read_denial
from cortex_cdk.stack_operations.resource_words import in_words, without_ids

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

STACK = "AWS::CloudFormation::Stack"
TURNS = frozenset({"ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"})
# Reasons of a service that somebody has stopped the rollout of (StopServiceDeployment).
_STOPPED = re.compile(r"\bby (the )?user\b|\buser[- ]request", re.IGNORECASE)
# What CloudFormation writes on resources that failed only because another one did.
CONSEQUENCES = ("Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled")


@dataclass(frozen=True)
class StackEvent:
    """One event of a stack.

    Attributes:
        id: Unique.
        time: When it happened.
        logical_id: The resource's id in the template.
        resource_type: Such as ``AWS::ECS::Service``.
        status: Such as ``CREATE_FAILED``.
        reason: Why, with words in the place of logical ids; may be empty.
    """

    id: str
    time: datetime
    logical_id: str
    resource_type: str
    status: str
    reason: str

    @property
    def what(self) -> str:
        """The resource in words, such as ``service``."""
        return in_words(self.logical_id, self.resource_type)

    @property
    def is_cause(self) -> bool:
        """Whether a failure began here, rather than following from that of another resource."""
        of_resource = self.status.endswith("_FAILED") and self.resource_type != STACK
        return of_resource and not self.reason.startswith(CONSEQUENCES)

    @property
    def explanation(self) -> str:
        """The reason, or who may not do what."""
        denial = read_denial(self.reason)
        return f"{self.what}: {denial.sentence if denial else self.reason}"

    @property
    def remedy(self) -> str | None:
        """What to do about the reason, where that is known: a permission is missing."""
        denial = read_denial(self.reason)
        return denial.hint if denial else None

    @property
    def is_interruption(self) -> bool:
        """Whether somebody stopped the rollout of the service."""
        return self.is_cause and _STOPPED.search(self.reason) is not None

    @property
    def ends_operation(self) -> bool:
        """Whether the operation on the stack is over with this event; what follows belongs to another operation."""
        over = not self.status.endswith("_IN_PROGRESS") and self.status != "CREATE_FAILED"
        return self.resource_type == STACK and over

    @property
    def begins_operation(self) -> bool:
        """Whether an operation on the stack begins with this event."""
        return self.resource_type == STACK and self.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")

    @property
    def turns_back(self) -> bool:
        """Whether the operation on the stack does not go on to what was asked for from this event on."""
        return self.resource_type == STACK and self.status in TURNS


@dataclass(frozen=True)
class PastOperation:
    """The last operation on a stack.

    Attributes:
        began: When it began; None where its events are too old to be on the newest page.
        ended: When it ended, or turned back.
        cause: The event with which its failure began; None where nothing of its own failed.
    """

    began: datetime | None
    ended: datetime
    cause: StackEvent | None


def last_operation(cloud: Cloud, stack_id: str) -> PastOperation | None:
    """Read what became of the last operation on a stack, with one call.

    Args:
        cloud: A session of the environment.
        stack_id: The stack's name or id.

    Returns:
        None where the stack has no events.
    """
    newest_first = _read(cloud, stack_id)
    mine: list[StackEvent] = []
    for event in newest_first:
        mine.append(event)
        if event.begins_operation:
            break
    if not mine:
        return None
    cause = next((event for event in reversed(mine) if event.is_cause), None)
    return PastOperation(mine[-1].time if mine[-1].begins_operation else None, mine[0].time, cause)


class EventReader:
    """Reads the events of one stack that happen after the reader was made.

    Args:
        cloud: A session of the environment.
        stack_id: The stack's name or id.
    """

    def __init__(self, cloud: Cloud, stack_id: str) -> None:
        self._cloud = cloud
        self._stack_id = stack_id
        self._seen = {event.id for event in self._fetch()}

    def new(self) -> list[StackEvent]:
        """Return the events since the last call, oldest first."""
        fresh = [event for event in self._fetch() if event.id not in self._seen]
        self._seen.update(event.id for event in fresh)
        return fresh[::-1]

    def _fetch(self) -> list[StackEvent]:
        # The newest page (100 events) is enough between two calls, and costs one request.
        return _read(self._cloud, self._stack_id)


def _read(cloud: Cloud, stack_id: str) -> list[StackEvent]:
    answer = cloud.cloudformation.describe_stack_events(StackName=stack_id)
    return [_event(event) for event in answer["StackEvents"]]


def _event(event: StackEventTypeDef) -> StackEvent:
    return StackEvent(
        id=event["EventId"],
        time=event["Timestamp"],
        logical_id=event.get("LogicalResourceId", ""),
        resource_type=event.get("ResourceType", ""),
        status=event.get("ResourceStatus", ""),
        reason=without_ids(event.get("ResourceStatusReason", "")),
    )
