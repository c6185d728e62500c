"""Whether the cluster's instances can hold what is to be deployed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.capacity.fit import per_instance
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.config import Compute, RealtimeApi
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.deploy.plan import replica_count
from cortex_cdk.errors import DeployError, Finding
from cortex_cdk.synthesis.specs import ClusterResources, ProviderResource


def check_fit(deployment: Deployment) -> Iterator[Finding]:
    """Compare what one replica of each API asks for with the instances of the cluster."""
    for api in deployment.wanted.config.apis:
        try:
            deployment.cluster.resources.provider_for(api.compute)
        except DeployError as error:
            yield Finding(api.name, error.message, error.hint)


def check_gpus(deployment: Deployment) -> Iterator[Finding]:
    """Compare the GPUs that replicas ask for with those that EC2 says the instances have.

    ``check_fit`` asks a table. That knows no types newer than itself, and not which GPUs an emulator lacks.
    """
    gpus_of = cache(partial(_gpus, deployment.cloud))
    for api in deployment.wanted.config.apis:
        provider = _provider(deployment.cluster.resources, api) if api.compute.gpu else None
        there = gpus_of(provider.instance_types) if provider else {}
        if provider and there and max(there.values()) < api.compute.gpu:
            is_here = not deployment.cluster.is_billed
            yield _too_few_here(api, max(there.values())) if is_here else _too_few_gpus(api, provider, there)


def _too_few_here(api: RealtimeApi, count: int) -> Finding:
    """Word a lack of GPUs in a cluster that nobody pays for: its instances are this machine."""
    wanted = api.compute.gpu
    return Finding(
        api.name,
        f"a replica asks for {wanted} GPU{'s' if wanted > 1 else ''}, and this machine has {count or 'no GPU'}",
        "leave compute.gpu out here, or choose another environment with --env (nvidia-smi lists the GPUs that count)",
    )


def _too_few_gpus(api: RealtimeApi, provider: ProviderResource, there: dict[str, int]) -> Finding:
    wanted = api.compute.gpu
    has = ", ".join(f"{name} has {count or 'none'} here" for name, count in there.items())
    return Finding(
        api.name,
        f"a replica asks for {wanted} GPU{'s' if wanted > 1 else ''}, and no instance of group "
        f"{provider.group} has {'so many' if any(there.values()) else 'one'}: EC2 says that {has}",
        "ask for less in compute.gpu, or choose another environment with --env",
    )


def _gpus(cloud: Cloud, types: Sequence[str]) -> dict[str, int]:
    """How many GPUs EC2 says that each type has; empty where it does not know one of them."""
    from botocore.exceptions import ClientError

    # The models of botocore list the types that it knew; AWS has newer ones.
    named: Any = list(types)
    try:
        described = cloud.ec2.describe_instance_types(InstanceTypes=named)["InstanceTypes"]
    except ClientError as error:
        if error_code(error) == "InvalidInstanceType":
            return {}
        raise
    return {
        one["InstanceType"]: sum(gpu.get("Count", 0) for gpu in one.get("GpuInfo", {}).get("Gpus", []))
        for one in described
    }


def check_rollout(deployment: Deployment) -> Iterator[Finding]:
    """Compare what runs during an update with what an instance group holds if nothing else runs there. Warns only."""
    for target in deployment.apis:
        api = target.resource
        provider = _provider(deployment.cluster.resources, api) if isinstance(api, RealtimeApi) else None
        if provider and isinstance(api, RealtimeApi):
            obstacle = rollout_obstacle(provider, api, replica_count(api, target.desired))
            if obstacle:
                yield Finding(api.name, obstacle, fatal=False)


def rollout_obstacle(provider: ProviderResource, api: RealtimeApi, replicas: int) -> str | None:
    """What keeps an instance group from running, or from updating, that many replicas of an API.

    Returns:
        One line, or None where the group can hold them.
    """
    capacity = group_capacity(provider, api.compute)
    if capacity is None:
        return None
    percent = api.update_strategy.percentages(replicas).maximum
    # ECS rounds the maximum down.
    during_update = replicas * percent // 100
    holds = f"group {provider.group} has room for {capacity} (at most {_instances(provider)})"
    if replicas > capacity:
        return f"{replicas} replicas are asked for, and {holds}: raise max_instances, or ask for less in compute"
    if during_update > capacity:
        return (
            f"during a rollout {during_update} replicas run, and {holds}: raise max_instances, "
            "or replace them in place: update_strategy.max_surge: 0 and max_unavailable: 1"
        )
    return None


def group_capacity(provider: ProviderResource, compute: Compute) -> int | None:
    """How many replicas a group holds at most, if EC2 starts the largest of its types; None where that is unknown."""
    known = instance_types()
    if any(name not in known for name in provider.instance_types):
        return None
    return provider.max_instances * max(per_instance(compute, known[name]) for name in provider.instance_types)


def _instances(provider: ProviderResource) -> str:
    plural = "s" if provider.max_instances > 1 else ""
    return f"{provider.max_instances} instance{plural} of {' or '.join(provider.instance_types)}"


def _provider(resources: ClusterResources, api: RealtimeApi) -> ProviderResource | None:
    """The instance group that runs an API; None where none can, which ``check_fit`` finds."""
    try:
        return resources.provider_for(api.compute)
    except DeployError:
        return None
