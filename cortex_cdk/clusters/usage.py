"""Reads which APIs run on which instance group of a cluster, and what their replicas ask for, from ECS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import all_services
from cortex_cdk.config import Cluster, Compute

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionOutputTypeDef, ServiceTypeDef


def computes_by_group(cloud: Cloud, cluster: Cluster) -> dict[str, dict[str, Compute]]:
    """Read what a replica of each API asks for.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's configuration.

    Returns:
        By instance group and API. An API that moves to another group is on both until its last old replica is gone.
    """
    group_of = {names.capacity_provider(cluster.name, group.name): group.name for group in cluster.instance_groups}
    found: dict[str, dict[str, Compute]] = {}
    for service in all_services(cloud, cluster.name):
        for provider in _providers(service):
            if group := group_of.get(provider):
                found.setdefault(group, {})[service["serviceName"]] = _compute(cloud, service["taskDefinition"])
    return found


def _providers(service: ServiceTypeDef) -> set[str]:
    strategies = [service.get("capacityProviderStrategy", [])]
    strategies += [deployment.get("capacityProviderStrategy", []) for deployment in service["deployments"]]
    return {item["capacityProvider"] for strategy in strategies for item in strategy}


def _compute(cloud: Cloud, task_definition: str) -> Compute:
    definition = cloud.ecs.describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    container = definition["containerDefinitions"][0]
    memory = container.get("memory")
    # Without the checks of ``cortex.yaml``: whoever else runs services on the cluster need not keep to them.
    return Compute.model_construct(
        cpu=round(container.get("cpu", 0) / 1024, 3),
        mem=memory * 2**20 if memory else None,
        gpu=_gpus(container),
        inf=0,
    )


def _gpus(container: ContainerDefinitionOutputTypeDef) -> int:
    wanted = container.get("resourceRequirements", [])
    return sum(int(item["value"]) for item in wanted if item["type"] == "GPU")
