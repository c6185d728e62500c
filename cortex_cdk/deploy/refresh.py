"""Replaces the replicas of an API by new ones of the same revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config.sections.update_strategy import UpdateStrategy
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import StackState, read_stack

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef


def refresh(cloud: Cloud, cluster: str, api: str, service: ServiceTypeDef, *, force: bool = False) -> None:
    """Start a rolling update of a service to what already runs.

    The percentages of the last deployment were computed for the number of replicas of that time. With fewer, they may
    leave ECS neither room for a new replica nor leave to stop an old one, so they are computed anew.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API's name.
        service: The API's service, as ECS describes it.
        force: Whether to take the place of an update or a refresh that runs. Its deployment then fails.

    Raises:
        DeployError: Replicas are being replaced already, or the API is being made or deleted.
    """
    stack = read_stack(cloud, names.api_stack(cluster, api))
    obstacle = _obstacle(api, stack, service, force=force)
    if obstacle:
        raise obstacle
    written = stack.outputs[names.Output.UPDATE_STRATEGY] if stack else "{}"
    strategy = UpdateStrategy.model_validate_json(written)
    percentages = strategy.percentages(max(1, service["desiredCount"]))
    cloud.ecs.update_service(
        cluster=service["clusterArn"],
        service=service["serviceName"],
        forceNewDeployment=True,
        deploymentConfiguration={
            **service["deploymentConfiguration"],
            "minimumHealthyPercent": percentages.minimum_healthy,
            "maximumPercent": percentages.maximum,
        },
    )


def _obstacle(api: str, stack: StackState | None, service: ServiceTypeDef, *, force: bool) -> DeployError | None:
    """Why replicas cannot be replaced now. A rollout that another one takes the place of counts as failed."""
    if stack is None or stack.status.startswith("DELETE_") or service["status"] != "ACTIVE":
        return DeployError(f"{api} is being deleted", hint=f"deploy it again if it should be there: cortex get {api}")
    if stack.status in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"):
        # A first deployment whose rollout fails is removed with everything that belongs to it.
        return DeployError(
            f"{api} is being deployed for the first time, so all its replicas are new",
            hint=f"wait until that has ended (cortex get {api} --watch), or replace it with: cortex deploy --force",
        )
    hint = f"wait until that has ended (cortex get {api} --watch), or override it with --force"
    if stack.in_progress and not force:
        return DeployError(f"{api} is being updated, which replaces its replicas ({stack.status})", hint=hint)
    primary = next((one for one in service["deployments"] if one["status"] == "PRIMARY"), None)
    if not force and primary and primary.get("rolloutState") == "IN_PROGRESS":
        return DeployError(f"{api} is being refreshed already", hint=hint)
    return None
