"""Makes change sets: the changes that an operation would make, or why the change set has failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.cloudformation.exceptions import CloudFormationError
from moto.cloudformation.utils import generate_changeset_id, validate_create_change_set

from cortex_cdk.localcloud.cloudformation import name_conflicts
from cortex_cdk.localcloud.cloudformation.changes import compute
from cortex_cdk.localcloud.cloudformation.functions import Scope
from cortex_cdk.localcloud.cloudformation.resource import Place
from cortex_cdk.localcloud.cloudformation.stack import Blueprint, ChangeSet, Stack
from cortex_cdk.localcloud.cloudformation.template import parse

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
NO_UPDATES = "No updates are to be performed."
POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")


class ChangeSetNotFoundError(CloudFormationError):
    """There is no change set of this name or id."""

    code = "ChangeSetNotFound"

    def __init__(self, name: str) -> None:
        super().__init__(f"ChangeSet [{name}] does not exist")


class InvalidChangeSetStatusError(CloudFormationError):
    """The change set cannot be executed."""

    code = "InvalidChangeSetStatus"

    def __init__(self, change_set: ChangeSet) -> None:
        super().__init__(
            f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]"
        )


def make(stack: Stack, name: str, kind: str, blueprint: Blueprint, exports: Mapping[str, Any]) -> ChangeSet:
    """Compare a stack with a blueprint.

    Args:
        stack: The stack now; an empty one for ``CREATE``.
        name: The change set's name.
        kind: ``CREATE`` or ``UPDATE``.
        blueprint: Template, parameters and tags to come.
        exports: Exported values of all stacks by name.

    Returns:
        The change set; its status is ``FAILED`` if nothing would change, or if a name is taken.

    Raises:
        ValidationError: The name, the template or a parameter is wrong.
    """
    validate_create_change_set(name)
    template = parse(blueprint.body)
    scope = Scope(stack, template, blueprint, exports)
    change_set = ChangeSet(
        id=generate_changeset_id(name, stack.region, stack.account),
        name=name,
        type=kind,
        blueprint=blueprint,
        changes=compute(stack, template, scope),
    )
    change_set.conflicts = name_conflicts.conflicts(change_set.changes, Place(stack.account, stack.region))
    if change_set.conflicts:
        change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
        change_set.reason = name_conflicts.FAILED_VALIDATION
    if kind == "UPDATE" and not change_set.changes and not _differs_otherwise(stack, template, scope, blueprint):
        change_set.status, change_set.reason, change_set.execution_status = "FAILED", NO_CHANGES, "UNAVAILABLE"
    return change_set


def _differs_otherwise(stack: Stack, template: dict[str, Any], scope: Scope, blueprint: Blueprint) -> bool:
    """Return whether anything but resource properties changes. As on AWS, descriptions and metadata do not count."""
    return (
        stack.blueprint.tags != blueprint.tags
        or stack.outputs != scope.outputs()
        or _policies(template) != _policies(parse(stack.blueprint.body))
    )


def _policies(template: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [resource.get(p) for p in POLICIES] for name, resource in template["Resources"].items()}
