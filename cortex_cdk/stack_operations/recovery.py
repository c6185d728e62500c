"""Brings a stack into a state from which CloudFormation lets it be updated, made anew or deleted.

``recovery_for`` decides by a table what has to happen first (pure, so that a plan can say so before anything happens);
``recover`` does it. ``make_deletable`` and ``remove`` do the same for a deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.denials import denial_of, read_denial
from cortex_cdk.aws.errors import error_message
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.change_set import taking
from cortex_cdk.stack_operations.interruption import end_operation, wait
from cortex_cdk.stack_operations.stack import NEVER_WORKED, StackState, read_stack

JOINABLE = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})
"""Stacks in these states may be on the way to what somebody else wants, too."""


class Recovery(Enum):
    """What has to happen to a stack before it can be updated or made. The values are for progress lines."""

    WAIT = "waiting for the operation that runs"
    GIVE_UP_CREATION = "giving up its first deployment, which runs"
    GIVE_UP_UPDATE = "giving up the update that runs"
    END_ROLLBACK = "bringing the roll-back that runs to its end"
    CONTINUE_ROLLBACK = "continuing the roll-back of its last update, which failed"
    REMOVE = "removing what is left of an earlier attempt"

    @property
    def leaves_nothing(self) -> bool:
        """Whether the stack is gone afterwards, and is made anew."""
        return self in (Recovery.GIVE_UP_CREATION, Recovery.REMOVE)


RECOVERIES: Mapping[str, Recovery] = {
    # There is nothing to go back to, and it may wait for capacity for hours.
    "CREATE_IN_PROGRESS": Recovery.GIVE_UP_CREATION,
    "UPDATE_IN_PROGRESS": Recovery.GIVE_UP_UPDATE,
    # Replicas of the revision before may lack room, or fail, like those of the new one.
    "UPDATE_ROLLBACK_IN_PROGRESS": Recovery.END_ROLLBACK,
    "UPDATE_ROLLBACK_FAILED": Recovery.CONTINUE_ROLLBACK,
    "DELETE_FAILED": Recovery.REMOVE,
    **dict.fromkeys(NEVER_WORKED, Recovery.REMOVE),
}
"""The way out of every state of a stack that cannot be updated; an operation that is not here is waited for.

Source: "Stack status codes" and "Troubleshooting" of the AWS CloudFormation User Guide.
"""


def recovery_for(stack: StackState) -> Recovery | None:
    """Decide what has to happen before a stack can be updated or made anew; None where it can be now.

    Whether an operation that runs may be interrupted is for the caller to decide.
    """
    return RECOVERIES.get(stack.status) or (Recovery.WAIT if stack.in_progress else None)


def recover(
    cloud: Cloud, stack: StackState, tell: Callable[[str], None], *, force: bool, role: str | None = None
) -> StackState | None:
    """Do what ``recovery_for`` says, until the stack can be updated.

    The stack is read again first: it may have changed since it was planned with.

    Args:
        cloud: Where the stack is.
        stack: The stack, as it was read.
        tell: Hears of each step, in words.
        force: Whether an operation that runs is given up rather than respected.
        role: ARN of the role that CloudFormation takes; None leaves that to the stack.

    Returns:
        The stack as it can be updated, or None where it is gone.

    Raises:
        DeployError: Another operation runs and may not be interrupted, or the stack cannot be recovered.
    """
    taken: set[Recovery] = set()
    current = read_stack(cloud, stack.id)
    while current is not None and current.status != "DELETE_COMPLETE":
        if current.in_progress and not force:
            raise busy(current)
        step = recovery_for(current)
        if step is None:
            return current
        if step in taken and step is not Recovery.WAIT:
            raise DeployError(
                f"{current.name} cannot be recovered ({current.status}): {current.reason or 'no reason was given'}",
                hint="correct by hand what its events name (CloudFormation console), then try again",
            )
        taken.add(step)
        tell(step.value)
        _take(cloud, current, step, role)
        current = read_stack(cloud, stack.id)
    return None


def _take(cloud: Cloud, stack: StackState, step: Recovery, role: str | None) -> None:
    if step.leaves_nothing:
        remove(cloud, stack, role)
    elif step is Recovery.CONTINUE_ROLLBACK:
        _continue_rollback(cloud, stack, role)
    elif step is Recovery.WAIT:
        wait(cloud, stack)
    else:
        end_operation(cloud, stack, keeps_replicas=True)


def _continue_rollback(cloud: Cloud, stack: StackState, role: str | None) -> None:
    """Try the roll-back once more, and then without the resources that fail again.

    What is skipped counts as rolled back (ContinueUpdateRollback, ResourcesToSkip). The update that follows sets it.
    """
    cloud.cloudformation.continue_update_rollback(StackName=stack.id, **taking(role))
    left = _end_rollback(cloud, stack)
    if left is None or left.status != "UPDATE_ROLLBACK_FAILED":
        return
    resources = cloud.cloudformation.describe_stack_resources(StackName=stack.id)["StackResources"]
    failed = [one["LogicalResourceId"] for one in resources if one["ResourceStatus"] == "UPDATE_FAILED"]
    cloud.cloudformation.continue_update_rollback(StackName=stack.id, ResourcesToSkip=failed, **taking(role))
    _end_rollback(cloud, stack)


def _end_rollback(cloud: Cloud, stack: StackState) -> StackState | None:
    current = read_stack(cloud, stack.id)
    return end_operation(cloud, current, keeps_replicas=True) if current and current.in_progress else current


def make_deletable(cloud: Cloud, stack: StackState) -> StackState | None:
    """End whatever keeps CloudFormation from deleting a stack: it deletes none that is being updated.

    An update may wait for capacity for hours, and so may its roll-back. So they are ended; the service is left without
    replicas where it has to be. Everything else is waited for.

    Returns:
        The stack, or None where it is gone.
    """
    current = read_stack(cloud, stack.id)
    while current is not None and current.status != "DELETE_COMPLETE":
        if not current.in_progress or current.status == "CREATE_IN_PROGRESS":
            return current
        if current.status in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
            current = end_operation(cloud, current, keeps_replicas=False)
        else:
            current = wait(cloud, current)
    return None


def busy(stack: StackState) -> DeployError:
    """The refusal to change a stack that is being changed."""
    return DeployError(
        f"{stack.name} is being changed by another operation ({stack.status})",
        hint="wait until it has ended (cortex get), or override it with --force",
    )


def with_planned_outputs(cloud: Cloud, stack: StackState) -> StackState:
    """Put the outputs of a stack's template in the place of those that it has, as far as they are literal.

    While an operation runs, template and parameters of a stack are those of that operation already: this is the stack
    as it will be if the operation succeeds. AWS does not document that, so whoever relies on it looks afterwards at
    what was deployed.
    """
    template: Any = cloud.cloudformation.get_template(StackName=stack.id)["TemplateBody"]
    # YAML, which is none of ours, comes as text.
    outputs = template.get("Outputs", {}) if isinstance(template, Mapping) else {}
    literal = {name: output["Value"] for name, output in outputs.items() if isinstance(output["Value"], str)}
    return replace(stack, outputs=literal)


def remove(cloud: Cloud, stack: StackState, role: str | None = None) -> None:
    """Delete a stack and wait until it is gone.

    Args:
        cloud: Where the stack is.
        stack: The stack.
        role: ARN of the role that CloudFormation takes; None leaves that to the stack.

    Raises:
        DeployError: It cannot be deleted.
    """
    from botocore.exceptions import ClientError

    try:
        cloud.cloudformation.delete_stack(StackName=stack.id, **taking(role))
    except ClientError as error:
        if denial_of(error):
            raise
        raise DeployError(f"{stack.name} cannot be deleted: {error_message(error)}") from error
    left = wait(cloud, stack)
    if left is not None:
        denial = read_denial(left.reason)
        raise DeployError(
            f"{stack.name} could not be deleted ({left.status}): {denial.sentence if denial else left.reason}",
            hint=denial.hint if denial else "remove by hand what the message names, then try again",
        )
