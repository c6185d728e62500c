"""Replaces the replicas of an API by new ones of the same revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config.sections.update_strategy import UpdateStrategy
from cortex_cdk.stack_operations.stack import read_stack

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef


def refresh(cloud: Cloud, cluster: str, api: str, service: ServiceTypeDef) -> None:
    """Start a rolling update of a service to what already runs.

    The percentages of the last deployment were computed for the number of replicas of that time. With fewer, they may
    leave ECS neither room for a new replica nor leave to stop an old one, so they are computed anew.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API's name.
        service: The API's service, as ECS describes it.
    """
    stack = read_stack(cloud, names.api_stack(cluster, api))
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
