"""Makes a stack again that the account has lost, from the stack's template, parameters and names.

Unlike a creation, this waits for nothing: the local cloud does not answer anybody yet. As after every restart, services
reach their desired count later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_cdk.localcloud.cloudformation.functions import Scope
from cortex_cdk.localcloud.cloudformation.operation import deletion_order
from cortex_cdk.localcloud.cloudformation.stack import Stack
from cortex_cdk.localcloud.cloudformation.steps import StepFailedError, Steps, reason_of
from cortex_cdk.localcloud.cloudformation.template import dependencies, dependency_order, parse


class RecreationError(Exception):
    """A stack could not be made again. The text names the resource and says why."""


def recreate(stack: Stack, names: Mapping[str, str], exports: Mapping[str, Any]) -> None:
    """Make the resources of a stack again. The caller holds the lock.

    Args:
        stack: The stack with its blueprint, without resources.
        names: The names, given or generated, of the resources that the stack had, by logical id.
        exports: Exported values of all stacks by name.

    Raises:
        RecreationError: A resource could not be made. The resources made before it are removed.
    """
    steps = Steps(stack, moved=lambda: None)
    try:
        _make_resources(stack, steps, names, exports)
    except Exception as error:
        for resource in deletion_order(list(stack.resources.values())):
            steps.discard(resource)
        if isinstance(error, StepFailedError):
            failed = stack.resources[error.logical_id]
            raise RecreationError(f"{failed.logical_id} ({failed.type}): {failed.reason}") from error
        raise RecreationError(reason_of(error)) from error


def _make_resources(stack: Stack, steps: Steps, names: Mapping[str, str], exports: Mapping[str, Any]) -> None:
    template = parse(stack.blueprint.body)
    needs = dependencies(template)
    scope = Scope(stack, template, stack.blueprint, exports)
    for logical_id in dependency_order(template):
        definition = template["Resources"][logical_id]
        if logical_id in names and scope.includes(definition):
            steps.recreate(logical_id, names[logical_id], definition, needs[logical_id], scope)
    stack.description = template.get("Description")
    # A stack whose creation failed has no outputs, and lacks the resources that outputs refer to.
    stack.outputs = scope.outputs() if names else []
    stack.resolved = scope.published_values()
