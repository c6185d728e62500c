"""Whether a cluster has room for what is to be deployed: asked before anything is created."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.capacity.fit import per_instance
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.config import Compute, RealtimeApi
from cortex_cdk.errors import DeployError
from cortex_cdk.synthesis.specs import ApiStackSpec, ClusterResources, ProviderResource


def check_room(cluster: ClusterResources, apis: Iterable[RealtimeApi]) -> None:
    """Compare what one replica of each API asks for with the instances of the cluster.

    Raises:
        DeployError: At least one fits nowhere; the message has the numbers.
    """
    texts, hints = [], []
    for api in apis:
        try:
            cluster.provider_for(api.compute)
        except DeployError as error:
            texts.append(f"{api.name}: {error.message}")
            hints.append(error.hint)
    if texts:
        raise DeployError(texts[0], hint=hints[0], details=texts[1:])


def check_gpus(cloud: Cloud, cluster: ClusterResources, apis: Iterable[RealtimeApi]) -> None:
    """Compare the GPUs that replicas ask for with those that EC2 says the instances have.

    ``check_room`` asks a table, which knows no types that are newer than it, and not what is lacking where it is asked.

    Raises:
        DeployError: At least one replica asks for more than any type of its group has.
    """
    texts = []
    gpus_of = cache(partial(_gpus, cloud))
    for api in apis:
        wanted = api.compute.gpu
        provider = cluster.provider_for(api.compute) if wanted else None
        there = gpus_of(tuple(provider.instance_types)) if provider else {}
        if provider and there and max(there.values()) < wanted:
            has = ", ".join(f"{name} has {count or 'none'} here" for name, count in there.items())
            texts.append(
                f"{api.name}: a replica asks for {wanted} GPU{'s' if wanted > 1 else ''}, and no instance of group "
                f"{provider.group} has {'so many' if any(there.values()) else 'one'}: EC2 says that {has}"
            )
    if texts:
        hint = "ask for less in compute.gpu, or choose another environment with --env: a local cloud has the GPUs "
        raise DeployError(texts[0], hint=f"{hint}that nvidia-smi finds on its machine", details=texts[1:])


def _gpus(cloud: Cloud, types: Sequence[str]) -> dict[str, int]:
    """How many GPUs EC2 says that each type has; empty where it may not be asked, or does not know one of them."""
    from botocore.exceptions import ClientError

    # The models of botocore list the types that it knew; AWS has newer ones.
    named: Any = list(types)
    try:
        described = cloud.ec2.describe_instance_types(InstanceTypes=named)["InstanceTypes"]
    except ClientError:
        return {}
    return {
        one["InstanceType"]: sum(gpu.get("Count", 0) for gpu in one.get("GpuInfo", {}).get("Gpus", []))
        for one in described
    }


def room_warning(spec: ApiStackSpec, replicas: int) -> str | None:
    """What is in the way of running, or of updating, that many replicas, even if nothing else runs on their group.

    Args:
        replicas: How many replicas the API has when it is deployed.

    Returns:
        One line, or None where the group can hold them.
    """
    provider = spec.provider
    room = group_room(provider, spec.api.compute)
    if room is None:
        return None
    percent = spec.api.update_strategy.percentages(replicas).maximum
    # ECS rounds the maximum down.
    during_update = replicas * percent // 100
    holds = f"group {provider.group} has room for {room} (at most {_instances(provider)})"
    if replicas > room:
        return f"{replicas} replicas are asked for, and {holds}: raise max_instances, or ask for less in compute"
    if during_update > room:
        return (
            f"during a rollout {during_update} replicas run, and {holds}: raise max_instances, "
            "or replace them in place: update_strategy.max_surge: 0 and max_unavailable: 1"
        )
    return None


def _instances(provider: ProviderResource) -> str:
    plural = "s" if provider.max_instances > 1 else ""
    return f"{provider.max_instances} instance{plural} of {' or '.join(provider.instance_types)}"


def group_room(provider: ProviderResource, compute: Compute) -> int | None:
    """How many replicas a group holds at most, if EC2 starts the roomiest of its types; None where that is unknown."""
    known = instance_types()
    if any(name not in known for name in provider.instance_types):
        return None
    return provider.max_instances * max(per_instance(compute, known[name]) for name in provider.instance_types)
