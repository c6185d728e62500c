"""Puts the minimum of an API's replicas back that an earlier deployment has lowered for a while.

A deployment that was killed meanwhile left it so, and CloudFormation, whose template is the same, does not see that.
"""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import if_allowed
from cortex_cdk.aws.scalable_targets import Bounds, read_bounds, set_bounds
from cortex_cdk.config import RealtimeApi


def put_back_minimum(cloud: Cloud, cluster: str, api: RealtimeApi) -> str | None:
    """Let an API that is deployed have ``min_replicas`` again, if it may have fewer.

    Args:
        cloud: Where it is.
        cluster: The cluster's name.
        api: The API as it is deployed.

    Returns:
        What was done, in words; None where nothing had to be, or the user may not.
    """
    ecs_cluster, service, least = names.ecs_cluster(cluster), names.service(api.name), api.autoscaling.min_replicas
    no_bounds: dict[str, Bounds] = {}
    bounds = if_allowed(lambda: read_bounds(cloud, ecs_cluster, [service]), no_bounds).get(service)
    if bounds is None or bounds.least >= least:
        return None

    def put_back() -> str:
        set_bounds(cloud, ecs_cluster, service, Bounds(least, max(least, bounds.most)))
        return f"min_replicas {least} applies again: it was {bounds.least}, which a deployment leaves that is cut off"

    return if_allowed(put_back, None)
