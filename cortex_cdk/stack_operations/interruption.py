"""Ends an operation on the stack of an API that would go on for hours, because its replicas have no room, say.

    stop   ECS goes back to the revision before, or CloudFormation cancels the update
    wait   a roll-back waits for replicas, too: where they do not come within ``PATIENCE``,
    lower  the service asks for no more replicas than run, then for none
    put the number of replicas back, unless the stack is to be deleted

Source: ``CancelUpdateStack`` (only in UPDATE_IN_PROGRESS), ``StopServiceDeployment``, and ``replicas.desired_count``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.aws.polling import pauses
from cortex_cdk.errors import DeployError
from cortex_cdk.replicas.desired_count import DesiredCount, read_desired_count
from cortex_cdk.stack_operations.stack import StackState, read_stack

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

PATIENCE = 10.0
"""Seconds for replicas to come, before the service asks for fewer. Replicas that run are counted within seconds."""


def end_operation(cloud: Cloud, stack: StackState, *, keeps_replicas: bool) -> StackState | None:
    """End an update or a roll-back that runs. What has ended by itself meanwhile has.

    Args:
        cloud: Where the stack is.
        stack: The stack, in UPDATE_IN_PROGRESS or UPDATE_ROLLBACK_IN_PROGRESS.
        keeps_replicas: Whether the replicas go on serving; False where the stack is to be deleted.

    Returns:
        The stack as it is then, or None where it is gone.

    Raises:
        DeployError: The number of replicas could not be put back.
    """
    if stack.status == "UPDATE_IN_PROGRESS":
        _stop(cloud, stack)
    service = _service(cloud, stack)
    if service is None:
        return wait(cloud, stack)
    desired = read_desired_count(cloud, service)
    lowered = False
    try:
        left = wait(cloud, stack, at_most=PATIENCE) if keeps_replicas else read_stack(cloud, stack.id)
        for keeps in (True, False) if keeps_replicas else (False,):
            serving = _serving(cloud, stack) if keeps else 0
            if left is None or not left.in_progress or (keeps and not 0 < serving < desired.count):
                continue
            desired.lower(cloud, serving)
            lowered = True
            left = wait(cloud, stack, at_most=PATIENCE)
        return wait(cloud, stack)
    finally:
        if lowered and keeps_replicas:
            _restore(cloud, desired, stack)


def _service(cloud: Cloud, stack: StackState) -> ServiceTypeDef | None:
    """The service of an API's stack; None where there is none, or the user may not ask."""
    from botocore.exceptions import ClientError

    name, cluster = stack.outputs.get(names.Output.SERVICE_NAME), stack.tags.get(names.TAG_CLUSTER)
    if name is None or cluster is None:
        return None
    try:
        found = cloud.ecs.describe_services(cluster=names.ecs_cluster(cluster), services=[name])["services"]
    except ClientError:
        # The operation then ends as CloudFormation has it.
        return None
    return next((service for service in found if service["status"] == "ACTIVE"), None)


def _serving(cloud: Cloud, stack: StackState) -> int:
    """How many replicas run of the revision that the service has gone back to."""
    service = _service(cloud, stack)
    deployments = service["deployments"] if service else []
    return sum(deployment["runningCount"] for deployment in deployments if deployment["status"] == "PRIMARY")


def _restore(cloud: Cloud, desired: DesiredCount, stack: StackState) -> None:
    from botocore.exceptions import ClientError

    current = read_stack(cloud, stack.id)
    if current is None or current.status.startswith("DELETE_"):
        return
    try:
        desired.restore(cloud)
    except ClientError as error:
        raise DeployError(
            f"{desired.service}: its {desired.count} replicas could not be asked for again: {error_message(error)}",
            hint="allow application-autoscaling:RegisterScalableTarget and ecs:UpdateService, and deploy again",
        ) from error


def _stop(cloud: Cloud, stack: StackState) -> None:
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


def wait(cloud: Cloud, stack: StackState, *, at_most: float | None = None) -> StackState | None:
    """Wait until no operation runs.

    Args:
        cloud: Where the stack is.
        stack: The stack.
        at_most: Seconds after which the stack is returned as it is; None waits for the end.

    Returns:
        The stack, or None where it is gone.
    """
    deadline = None if at_most is None else time.monotonic() + at_most
    for pause in pauses():
        current = read_stack(cloud, stack.id)
        if current is None or current.status == "DELETE_COMPLETE":
            return None
        if not current.in_progress or (deadline is not None and time.monotonic() > deadline):
            return current
        time.sleep(pause)
    raise AssertionError("pauses never end")
