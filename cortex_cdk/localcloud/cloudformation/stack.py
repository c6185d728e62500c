"""The data of a stack: resources, outputs, events, change sets. All of it is pickled (see ``snapshot.FORMAT``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow

from cortex_cdk.localcloud.cloudformation.template import parse
from cortex_cdk.localcloud.stored_once import StoredOnce

STACK_TYPE = "AWS::CloudFormation::Stack"
IN_SYNC = "IN_SYNC"
"""The drift status of what is as the template says."""
KEPT_EVENTS = 2000
"""How many of the newest events a stack keeps. CloudFormation keeps events for 90 days."""


@dataclass(frozen=True)
class Blueprint:
    """The input of a stack.

    Attributes:
        body: The text of the template, as sent.
        parameters: Values by name, as sent (without defaults).
        tags: The stack's tags.
    """

    body: str
    parameters: dict[str, str]
    tags: dict[str, str]

    @cached_property
    def declared(self) -> Mapping[str, Any]:
        """The parameters that the template declares. Kept here: every description of a stack has them."""
        return (parse(self.body).get("Parameters") or {}) if self.body else {}


@dataclass
class StackResource:
    """One resource of a stack that exists, or existed until it was deleted.

    Attributes:
        logical_id: The resource's name in the template.
        type: Such as ``AWS::ECS::Service``.
        name: The name, given or generated, under which the resource was created.
        model: moto's or our object.
        properties: Resolved properties as of the last success; None while a change is unfinished.
        needs: Logical ids of the resources that this one was made from, for the order of deletion.
        deletion_policy: ``Delete`` or ``Retain``, when the resource leaves the stack.
        replace_policy: ``Delete`` or ``Retain``, when another resource replaces this one.
        status: Such as ``CREATE_COMPLETE``.
        reason: Why the resource has this status.
        updated: When the resource got this status.
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
        """The value of ``Ref``; empty until the resource exists."""
        return str(self.model.physical_resource_id) if self.model is not None else ""


@dataclass(frozen=True)
class Output:
    """An output of a stack, and the name of its export, if it has one."""

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
    """A resource that a change set would make, but whose name is taken.

    Attributes:
        logical_id: The resource's name in the template.
        type: The resource type.
        reason: Why the resource cannot be made.
    """

    logical_id: str
    type: str
    reason: str


@dataclass
class ChangeSet:
    """A change set of a stack.

    Attributes:
        conflicts: The findings of early validation: resources whose names are taken.
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


@dataclass(frozen=True)
class Drift:
    """What a detection has found.

    Attributes:
        id: The detection's id.
        time: When it was made.
        resources: ``StackResourceDrift``s of the resources that could be checked, in the form of the API.
    """

    id: str
    time: datetime
    resources: tuple[dict[str, Any], ...]

    @property
    def drifted(self) -> int:
        """How many resources are not what the template says."""
        return sum(one["StackResourceDriftStatus"] != IN_SYNC for one in self.resources)

    @property
    def status(self) -> str:
        """The stack's drift status."""
        return "DRIFTED" if self.drifted else IN_SYNC


@dataclass
class Stack:
    """A stack and its history.

    Attributes:
        blueprint: The input that the resources are, or are being, made from.
        previous: The input that a roll-back returns to, while an update runs.
        before: The input that a roll-back returns to if the last update fails after its end; None if it cannot.
        displaced: Resources that the running update has replaced, by logical id.
        obsolete: Resources that have left the stack and remain to be deleted.
        cancelled: Whether somebody has cancelled the running operation.
        drift: What the last drift detection has found; None before the first.
        doomed: Whether to delete the stack when the running operation has been cancelled.
        skipped: Resources that the running roll-back leaves as they are (ResourcesToSkip).
        resolved: Pairs of a parameter and the value that the last operation found for it in Systems Manager.
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
    events: list[dict[str, Any]] = field(default_factory=StoredOnce)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    previous: Blueprint | None = None
    displaced: dict[str, StackResource] = field(default_factory=dict)
    obsolete: list[StackResource] = field(default_factory=list)
    cancelled: bool = False
    doomed: bool = False
    skipped: tuple[str, ...] = ()
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
    drift: Drift | None = None
    before: Blueprint | None = None
    resolved: tuple[tuple[str, str], ...] = ()

    @property
    def busy(self) -> bool:
        """Whether an operation runs."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def existing(self, logical_id: str) -> StackResource | None:
        """Return the resource if it exists. A resource that was deleted, or could not be made, does not."""
        resource = self.resources.get(logical_id)
        return resource if resource is not None and resource.model is not None else None

    def turn(self, status: str, reason: str | None = None) -> None:
        """Give the stack a status, and add an event."""
        self.status, self.reason = status, reason
        self._record(LogicalResourceId=self.name, PhysicalResourceId=self.id, ResourceType=STACK_TYPE)

    def note(self, resource: StackResource, status: str, reason: str | None = None) -> None:
        """Give a resource a status, and add an event."""
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
