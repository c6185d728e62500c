"""Brings a stack into a state from which CloudFormation lets it be updated, made anew or deleted.

``recovery_for`` decides by a table what has to happen first (pure, so that a plan can say so before anything happens);
``recover`` does it. ``make_deletable`` and ``remove`` do the same for a deletion.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.aws.polling import pauses
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import NEVER_WORKED, StackState, read_stack

JOINABLE = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})
"""Stacks in these states may be on the way to what somebody else wants, too."""


class Recovery(Enum):
    """What has to happen to a stack before it can be updated or made. The values are for progress lines."""

    WAIT = "waiting for the operation that runs"
    GIVE_UP_CREATION = "giving up its first deployment, which runs"
    GIVE_UP_UPDATE = "giving up the update that runs"
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


def recover(cloud: Cloud, stack: StackState, tell: Callable[[str], None], *, force: bool) -> StackState | None:
    """Do what ``recovery_for`` says, until the stack can be updated.

    The stack is read again first: it may have changed since it was planned with.

    Args:
        cloud: Where the stack is.
        stack: The stack, as it was read.
        tell: Hears of each step, in words.
        force: Whether an operation that runs is given up rather than respected.

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
        _take(cloud, current, step)
        current = read_stack(cloud, stack.id)
    return None


def _take(cloud: Cloud, stack: StackState, step: Recovery) -> None:
    if step.leaves_nothing:
        remove(cloud, stack)
        return
    if step is Recovery.GIVE_UP_UPDATE:
        _give_up(cloud, stack)
    elif step is Recovery.CONTINUE_ROLLBACK:
        cloud.cloudformation.continue_update_rollback(StackName=stack.id)
    wait(cloud, stack)


def make_deletable(cloud: Cloud, stack: StackState) -> StackState | None:
    """End whatever keeps CloudFormation from deleting a stack: it deletes none that is being updated.

    An update may wait for capacity for hours, so it is given up; everything else is waited for.

    Returns:
        The stack, or None where it is gone.
    """
    current = read_stack(cloud, stack.id)
    while current is not None and current.status != "DELETE_COMPLETE":
        if not current.in_progress or current.status == "CREATE_IN_PROGRESS":
            return current
        if current.status == "UPDATE_IN_PROGRESS":
            _give_up(cloud, current)
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


def _give_up(cloud: Cloud, stack: StackState) -> None:
    """Give up an update that runs; one that has ended by itself meanwhile has.

    ECS goes back by itself where replicas are being replaced: it keeps those of the revision before. CloudFormation
    would have it start new ones (containers-roadmap issue 117), which may wait for room like those that are given up.
    """
    from botocore.exceptions import ClientError

    deployment = _rollout(cloud, stack)
    try:
        if deployment:
            cloud.ecs.stop_service_deployment(serviceDeploymentArn=deployment, stopType="ROLLBACK")
        else:
            cloud.cloudformation.cancel_update_stack(StackName=stack.id)
    except ClientError:
        current = read_stack(cloud, stack.id)
        if current and current.status == stack.status:
            raise


def _rollout(cloud: Cloud, stack: StackState) -> str | None:
    """The service deployment that replaces the replicas of an API's stack; None where nothing is replaced."""
    from botocore.exceptions import ClientError

    service, cluster = stack.outputs.get(names.Output.SERVICE_NAME), stack.tags.get(names.TAG_CLUSTER)
    if service is None or cluster is None:
        return None
    try:
        found = cloud.ecs.list_service_deployments(
            cluster=names.ecs_cluster(cluster), service=service, status=["IN_PROGRESS"]
        )
    except ClientError:
        # CloudFormation can go back without it.
        return None
    return next((deployment["serviceDeploymentArn"] for deployment in found["serviceDeployments"]), None)


def wait(cloud: Cloud, stack: StackState) -> StackState | None:
    """Wait until no operation runs. None where the stack is gone."""
    for pause in pauses():
        current = read_stack(cloud, stack.id)
        if current is None or current.status == "DELETE_COMPLETE":
            return None
        if not current.in_progress:
            return current
        time.sleep(pause)
    raise AssertionError("pauses never end")


def remove(cloud: Cloud, stack: StackState) -> None:
    """Delete a stack and wait until it is gone.

    Raises:
        DeployError: It cannot be deleted.
    """
    from botocore.exceptions import ClientError

    try:
        cloud.cloudformation.delete_stack(StackName=stack.id)
    except ClientError as error:
        raise DeployError(f"{stack.name} cannot be deleted: {error_message(error)}") from error
    left = wait(cloud, stack)
    if left is not None:
        raise DeployError(
            f"{stack.name} could not be deleted ({left.status}): {left.reason}",
            hint="remove by hand what the message names, then try again",
        )
