"""Words what the autoscaling of an API means: replicas, requests, instances and their costs."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.capacity.fit import per_instance
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.capacity.pricing import prices
from cortex_cdk.config import RealtimeApi
from cortex_cdk.config.sections.autoscaling import Autoscaling
from cortex_cdk.deploy.preflight.capacity import group_capacity
from cortex_cdk.synthesis.specs import ProviderResource


def scaling_in_words(api: RealtimeApi, provider: ProviderResource, *, is_billed: bool) -> Iterator[str]:
    """Yield one or two lines: when an API gets how many replicas, and what these need at most.

    Args:
        api: The API.
        provider: The instance group that runs its replicas.
        is_billed: Whether somebody pays for the instances.
    """
    scaling = api.autoscaling
    least, most = scaling.min_replicas, scaling.max_replicas
    if least == most:
        yield f"runs {least} replica{'s' * (least > 1)}, and does not scale"
    else:
        default = "" if "max_replicas" in scaling.model_fields_set else " (the default of max_replicas)"
        yield f"scales from {least} to {most} replicas{default} while {_load(scaling)}"
    room, cost = _room(api, provider), _cost(api, provider) if is_billed else None
    if room or cost:
        yield ", ".join(filter(None, (room, cost)))


def _load(scaling: Autoscaling) -> str:
    target, rate = scaling.target_replica_concurrency, scaling.target_replica_requests_per_second
    load = f"more than {target:g} request{'s are' if target != 1 else ' is'} in flight for each"
    return load if rate is None else f"{load}, or more than {rate:g} a second come to each"


def _room(api: RealtimeApi, provider: ProviderResource) -> str | None:
    """Word that the most replicas do not fit; None if they do. A minimum that does not fit is told by a check."""
    scaling, room = api.autoscaling, group_capacity(provider, api.compute)
    if room is None or not scaling.min_replicas <= room < scaling.max_replicas:
        return None
    return f"group {provider.group} has room for {room} of {scaling.max_replicas}"


def _cost(api: RealtimeApi, provider: ProviderResource) -> str | None:
    """Word the costs of the instances for the most replicas, if nothing else runs on these; None if not known.

    EC2 may start any type of a group. So the dearest one counts.
    """
    known, hour, costs = instance_types(), prices().instance_hour, {}
    for name in provider.instance_types:
        on_one = per_instance(api.compute, known[name]) if name in known else 0
        if on_one and name in hour:
            count = min(provider.max_instances, -(-api.autoscaling.max_replicas // on_one))
            costs[name] = count * hour[name], count
    if not costs:
        return None
    dearest = max(costs, key=costs.__getitem__)
    cost, count = costs[dearest]
    instances = f"{count} instance{'s' * (count > 1)} of {dearest}"
    return f"at most {cost:.2f} USD an hour for {instances} (list price of {prices().region})"
