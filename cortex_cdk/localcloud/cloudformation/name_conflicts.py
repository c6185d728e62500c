"""Refuses resources whose names are taken, as CloudFormation does before and while a stack is made.

Source: "Validate stack deployments" (CloudFormation User Guide); the words of the check
AWS::EarlyValidation::ResourceExistenceCheck are in aws-cloudformation/rain pull request 744. While a stack is made,
the resource type's error AlreadyExists says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from moto.cloudformation.models import cloudformation_backends

from cortex_cdk.localcloud.cloudformation import schema
from cortex_cdk.localcloud.cloudformation.resource import REGISTRY, Place
from cortex_cdk.localcloud.cloudformation.stack import NameConflict, ResourceChange, Stack, StackResource

CHECK = "AWS::EarlyValidation::ResourceExistenceCheck"
VALIDATION = "NAME_CONFLICT_VALIDATION"
FAILED_VALIDATION = (
    f"The following hook(s)/validation failed: [{CHECK}]. To troubleshoot Early Validation errors, "
    "use the DescribeEvents API for detailed failure information."
)


def conflicts(changes: Iterable[ResourceChange], place: Place) -> tuple[NameConflict, ...]:
    """Return the resources of a change set that cannot be made, as early validation finds them."""
    added = [change for change in changes if change.action == "Add"]
    return tuple(
        NameConflict(change.logical_id, change.type, _words(change.type, name))
        for change in added
        if (name := taken(change.type, change.after or {}, place))
    )


def refuse_taken(resource_type: str, properties: Mapping[str, Any], place: Place) -> None:
    """Refuse to make a resource whose name is taken.

    Raises:
        ValueError: The name is taken; the message is the reason of the event.
    """
    name = taken(resource_type, properties, place)
    if name is None:
        return
    owner = _owner(resource_type, name, place)
    raise ValueError(f"{name} already exists in stack {owner.id}" if owner else _words(resource_type, name))


def taken(resource_type: str, properties: Mapping[str, Any], place: Place) -> str | None:
    """Return the name that the properties give, if a resource of the type has the name; else None."""
    kind = REGISTRY.get(resource_type)
    given = properties.get(kind.name_property) if kind else None
    if kind and isinstance(given, str) and kind.exists(given, place):
        return given
    name = schema.custom_name(resource_type, properties)
    return name if name and _owner(resource_type, name, place) else None


def _words(resource_type: str, name: str) -> str:
    return f"Resource of type '{resource_type}' with identifier '{name}' already exists."


def _owner(resource_type: str, name: str, place: Place) -> Stack | None:
    """Return the stack that has a resource of this type and name."""
    for stack in cloudformation_backends[place.account][place.region].stacks.values():
        if isinstance(stack, Stack) and any(
            (one.type, one.physical_id) == (resource_type, name) for one in _resources(stack)
        ):
            return stack
    return None


def _resources(stack: Stack) -> Iterator[StackResource]:
    yield from stack.resources.values()
    yield from stack.displaced.values()
    yield from stack.obsolete
