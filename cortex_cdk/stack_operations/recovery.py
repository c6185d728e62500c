"""Brings a stack into a state from which it can be deployed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.aws.polling import pauses
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import STUCK, StackState, read_stack

CANCELLABLE = frozenset({"UPDATE_IN_PROGRESS"})
JOINABLE = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})
"""What may be on the way to what somebody else wants, too."""


def settled(cloud: Cloud, stack: StackState, *, force: bool) -> StackState | None:
    """The stack once it can be updated, or None where it holds nothing worth keeping (and is removed).

    Args:
        force: Whether an update that runs is cancelled (rolled back) rather than respected.

    Raises:
        DeployError: An operation runs and may not be interrupted, or the stack cannot be recovered.
    """
    if stack.in_progress:
        if not force:
            raise busy(stack)
        if stack.status == "CREATE_IN_PROGRESS":
            # There is nothing to go back to, and it may wait for capacity for hours.
            remove(cloud, stack)
            return None
        if stack.status in CANCELLABLE:
            _give_up(cloud, stack)
        stack_or_none = wait(cloud, stack)
        if stack_or_none is None:
            return None
        stack = stack_or_none
    if stack.never_worked or stack.status == "DELETE_FAILED":
        remove(cloud, stack)
        return None
    if stack.status in STUCK:
        cloud.cloudformation.continue_update_rollback(StackName=stack.id)
        return wait(cloud, stack)
    return stack


def busy(stack: StackState) -> DeployError:
    """The refusal to change a stack that is being changed."""
    return DeployError(
        f"{stack.name} is being changed by another operation ({stack.status})",
        hint="wait until it has ended (cortex get), or override it with --force",
    )


def underway(cloud: Cloud, stack: StackState) -> StackState:
    """A stack with the outputs that it will have once the operation that runs has succeeded, as far as they are known.

    Its template and its parameters are those of that operation already. AWS does not document that, so who relies on it
    looks afterwards at what was deployed.
    """
    template: Mapping[str, Any] = cloud.cloudformation.get_template(StackName=stack.id)["TemplateBody"]
    literal = {name: value["Value"] for name, value in template["Outputs"].items() if isinstance(value["Value"], str)}
    return replace(stack, outputs=literal)


def _give_up(cloud: Cloud, stack: StackState) -> None:
    """Give up an update that runs.

    ECS goes back by itself where replicas are being replaced: it keeps those of the revision before. CloudFormation
    would have it start new ones (containers-roadmap issue 117), which may wait for room like those that are given up.
    """
    deployment = _rollout(cloud, stack)
    if deployment:
        cloud.ecs.stop_service_deployment(serviceDeploymentArn=deployment, stopType="ROLLBACK")
    else:
        cloud.cloudformation.cancel_update_stack(StackName=stack.id)


def _rollout(cloud: Cloud, stack: StackState) -> str | None:
    """The service deployment that replaces the replicas of an API's stack; None where nothing is replaced."""
    from botocore.exceptions import ClientError

    if "ServiceName" not in stack.outputs or names.TAG_CLUSTER not in stack.tags:
        return None
    try:
        found = cloud.ecs.list_service_deployments(
            cluster=names.ecs_cluster(stack.tags[names.TAG_CLUSTER]),
            service=stack.outputs["ServiceName"],
            status=["IN_PROGRESS"],
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
