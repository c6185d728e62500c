"""Stores and restores stacks: template, parameters, tags, and the names and ids of the resources."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.cloudformation.models import cloudformation_backends

from cortex_cdk.localcloud.cloudformation.backend import REVIEW, StackBackend
from cortex_cdk.localcloud.cloudformation.recreation import recreate
from cortex_cdk.localcloud.cloudformation.stack import Blueprint, Stack
from cortex_cdk.localcloud.cloudformation.template import parse
from cortex_cdk.localcloud.daemon.records.identifiers import Identifiers, long_enough
from cortex_cdk.localcloud.daemon.records.store import Record

FOLDER = "stacks"
SETTINGS = ("on_failure", "protected", "policy", "role_arn", "capabilities", "notification_arns")
"""Attributes of a stack that are stored unchanged."""

log = logging.getLogger("cortex.local.records")


class StackRecords:
    """Makes the records of all stacks. A record is made anew only when its stack has changed."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, Record]] = {}

    def read(self) -> dict[str, Record | None]:
        """Return the records of all stacks by name. None keeps the last record of a stack that is being changed."""
        return {
            stack.name: None if stack.busy else self._record(stack) for stack in _stacks() if stack.status != REVIEW
        }

    def _record(self, stack: Stack) -> Record:
        last_event = stack.events[-1]["EventId"] if stack.events else None
        version = (last_event, stack.protected, stack.policy)
        known = self._made.get(stack.id)
        if known is None or known[0] != version:
            known = self._made[stack.id] = (version, _record(stack))
        return known[1]


def _stacks() -> Iterator[Stack]:
    for _, _, backend in cloudformation_backends.iter_backends():
        if isinstance(backend, StackBackend):
            yield from backend.stacks.values()


def _record(stack: Stack) -> Record:
    return {
        "name": stack.name,
        "id": stack.id,
        "account": stack.account,
        "region": stack.region,
        "status": stack.status,
        "reason": stack.reason,
        "created": stack.created.isoformat(),
        "updated": stack.updated.isoformat() if stack.updated else None,
        **{name: getattr(stack, name) for name in SETTINGS},
        "resources": {
            resource.logical_id: {"type": resource.type, "name": resource.name, "id": resource.physical_id}
            for resource in stack.resources.values()
            if resource.model is not None
        },
        "outputs": {output.key: output.value for output in stack.outputs},
        "exports": [output.export for output in stack.outputs if output.export],
        **_blueprint(stack.blueprint),
        "previous": _blueprint(stack.previous) if stack.previous else None,
    }


def _blueprint(blueprint: Blueprint) -> Record:
    return {"parameters": blueprint.parameters, "tags": blueprint.tags, "template": blueprint.body}


@dataclass(frozen=True)
class StoredStack:
    """A stack's record, read from its file.

    Attributes:
        file: The name of the file.
        text: The content of the file.
        record: The content as a value.
    """

    file: str
    text: str
    record: Record

    @property
    def name(self) -> str:
        """The name of the stack."""
        return str(self.record["name"])

    @property
    def ids(self) -> set[str]:
        """The ids, outputs and exports that other stacks may refer to."""
        record = self.record
        physical = [resource["id"] for resource in record["resources"].values()]
        return long_enough([*physical, *record["outputs"].values(), *record["exports"]])

    def references(self) -> set[str]:
        """Return every text in the stack's template and parameters."""
        return set(_texts([parse(self.record["template"]), self.record["parameters"]]))

    @classmethod
    def of(cls, file: str, text: str) -> StoredStack:
        """Read a record.

        Raises:
            ValueError: The file holds no record of a stack.
        """
        record = json.loads(text)
        if not isinstance(record, dict) or not {"name", "id", "template", "resources", "outputs"} <= record.keys():
            raise ValueError(f"{file} is not the record of a stack")
        return cls(file, text, record)


def in_order(stacks: Sequence[StoredStack]) -> list[StoredStack]:
    """Return stacks in the order of their creation, but each after the stacks that it refers to."""
    waiting = sorted(stacks, key=lambda stack: str(stack.record["created"]))
    needs = {stack.name: _needs(stack, waiting) for stack in waiting}
    ordered: list[StoredStack] = []
    while waiting:
        left = {stack.name for stack in waiting}
        # In a circle, which CloudFormation could not make either, the oldest stack goes first.
        following = next((stack for stack in waiting if not needs[stack.name] & left), waiting[0])
        waiting.remove(following)
        ordered.append(following)
    return ordered


def bring_back(stored: StoredStack, identifiers: Identifiers) -> None:
    """Make a stack again. The caller holds the lock.

    Args:
        stored: The stack.
        identifiers: The ids that have changed. The ids of this stack's resources are added.

    Raises:
        RecreationError: The stack could not be made. Nothing of the stack is left.
    """
    record = json.loads(identifiers.apply(stored.text))
    backend: Any = cloudformation_backends[record["account"]][record["region"]]
    stack = _stack(record)
    names = {logical_id: resource["name"] for logical_id, resource in record["resources"].items()}
    recreate(stack, names, backend.exported())
    backend.stacks[stack.id] = stack
    stack.turn(record["status"], record["reason"])
    made = {name: resource.physical_id for name, resource in stack.resources.items()}
    identifiers.learn({name: item["id"] for name, item in stored.record["resources"].items()}, made)
    identifiers.learn(stored.record["outputs"], {output.key: output.value for output in stack.outputs})


def _stack(record: Record) -> Stack:
    previous = record.get("previous")
    stack = Stack(
        id=record["id"],
        name=record["name"],
        account=record["account"],
        region=record["region"],
        blueprint=_blueprint_of(record),
        status="CREATE_IN_PROGRESS",
        previous=_blueprint_of(previous) if previous else None,
        created=datetime.fromisoformat(record["created"]),
        updated=datetime.fromisoformat(record["updated"]) if record["updated"] else None,
        **{name: record[name] for name in SETTINGS},
    )
    stack.turn(stack.status, "The local cloud makes the stack again from its template.")
    return stack


def _blueprint_of(record: Record) -> Blueprint:
    return Blueprint(record["template"], record["parameters"], record["tags"])


def _needs(stack: StoredStack, others: Sequence[StoredStack]) -> set[str]:
    try:
        references = stack.references()
    except Exception as error:
        # The user is told when the stack is made.
        log.warning("the template of the stack %s cannot be read: %s", stack.name, error)
        return set()
    return {other.name for other in others if other is not stack and other.ids & references}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
