"""What is known about a stack: its data, without behaviour beyond looking things up. All of it is pickled."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow

STACK_TYPE = "AWS::CloudFormation::Stack"
KEPT_EVENTS = 2000
"""Newest events kept of a stack; CloudFormation itself keeps them for 90 days."""


@dataclass(frozen=True)
class Blueprint:
    """What a stack is made from.

    Attributes:
        body: The template as it was sent.
        parameters: Values by name, as they were sent (defaults are not filled in).
        tags: The stack's tags.
    """

    body: str
    parameters: dict[str, str]
    tags: dict[str, str]


@dataclass
class StackResource:
    """One resource of a stack that exists, or existed until it was deleted.

    Attributes:
        logical_id: Its name in the template.
        type: Such as ``AWS::ECS::Service``.
        name: The name that it was created under, given or generated.
        model: moto's or our object.
        properties: Resolved properties as of the last success; None while a change is unfinished.
        needs: Logical ids of the resources that it was made from, for the order of deletion.
        deletion_policy: ``Delete`` or ``Retain`` when it leaves the stack.
        replace_policy: The same for when it is replaced.
        status: Such as ``CREATE_COMPLETE``.
        reason: Why it has that status.
        updated: When it got that status.
    """

    logical_id: str
    type: str
    name: str
    model: Any = None
    properties: dict[str, Any] | None = None
    needs: list[str] = field(default_factory=list)
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    status: str = ""
    reason: str | None = None
    updated: datetime = field(default_factory=utcnow)

    @property
    def physical_id(self) -> str:
        """What ``Ref`` gives; empty until it exists."""
        return str(self.model.physical_resource_id) if self.model is not None else ""


@dataclass(frozen=True)
class Output:
    """An output of a stack, and the name under which it is exported, if it is."""

    key: str
    value: str
    description: str | None
    export: str | None


@dataclass(frozen=True)
class ResourceChange:
    """One line of a change set, as ``DescribeChangeSet`` shows it (a ``ResourceChange`` of the API)."""

    action: str
    logical_id: str
    type: str
    physical_id: str | None = None
    replacement: str | None = None
    details: tuple[dict[str, Any], ...] = ()
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True)
class NameConflict:
    """A resource that a change set would make, and whose name is taken.

    Attributes:
        logical_id: Its name in the template.
        type: Its type.
        reason: Why it cannot be made.
    """

    logical_id: str
    type: str
    reason: str


@dataclass
class ChangeSet:
    """A change set of a stack.

    Attributes:
        conflicts: What early validation found: resources whose names are taken.
    """

    id: str
    name: str
    type: str
    blueprint: Blueprint
    changes: tuple[ResourceChange, ...]
    description: str | None = None
    role_arn: str | None = None
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)
    on_failure: str | None = None
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution_status: str = "AVAILABLE"
    conflicts: tuple[NameConflict, ...] = ()
    created: datetime = field(default_factory=utcnow)


@dataclass
class Stack:
    """A stack and its history.

    Attributes:
        blueprint: What its resources are (being) made from.
        previous: What to go back to while an update runs.
        displaced: Resources that the running update has replaced, by logical id.
        obsolete: Resources that are no longer part of the stack and remain to be deleted.
        cancelled: Whether somebody asked to cancel the running operation.
        doomed: Whether the stack is to be deleted once the running operation has been cancelled.
    """

    id: str
    name: str
    account: str
    region: str
    blueprint: Blueprint
    status: str
    reason: str | None = None
    resources: dict[str, StackResource] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    previous: Blueprint | None = None
    displaced: dict[str, StackResource] = field(default_factory=dict)
    obsolete: list[StackResource] = field(default_factory=list)
    cancelled: bool = False
    doomed: bool = False
    on_failure: str = "ROLLBACK"
    retained: tuple[str, ...] = ()
    protected: bool = False
    description: str | None = None
    role_arn: str | None = None
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)
    policy: str | None = None
    created: datetime = field(default_factory=utcnow)
    updated: datetime | None = None
    deleted: datetime | None = None
    token: str | None = None

    @property
    def busy(self) -> bool:
        """Whether an operation runs."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def existing(self, logical_id: str) -> StackResource | None:
        """The resource if there is one now; one that was deleted or could not be made does not count."""
        resource = self.resources.get(logical_id)
        return resource if resource is not None and resource.model is not None else None

    def turn(self, status: str, reason: str | None = None) -> None:
        """Give the stack a status, and say so in its events."""
        self.status, self.reason = status, reason
        self._record(LogicalResourceId=self.name, PhysicalResourceId=self.id, ResourceType=STACK_TYPE)

    def note(self, resource: StackResource, status: str, reason: str | None = None) -> None:
        """Give a resource a status, and say so in the events."""
        resource.status, resource.reason, resource.updated = status, reason, utcnow()
        self._record(
            LogicalResourceId=resource.logical_id,
            PhysicalResourceId=resource.physical_id,
            ResourceType=resource.type,
            ResourceStatus=status,
            ResourceStatusReason=reason,
            ResourceProperties=json.dumps(resource.properties or {}, default=str),
        )

    def _record(self, **details: str | None) -> None:
        event = {
            "EventId": str(uuid4()),
            "StackId": self.id,
            "StackName": self.name,
            "ResourceStatus": self.status,
            "ResourceStatusReason": self.reason,
            "ClientRequestToken": self.token,
            "Timestamp": utcnow(),
            **details,
        }
        self.events.append({key: value for key, value in event.items() if value is not None})
        del self.events[:-KEPT_EVENTS]
