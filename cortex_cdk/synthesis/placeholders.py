"""Stands for the resources of a cluster that does not exist, in templates that are only looked at."""

from __future__ import annotations

import hashlib

from cortex_cdk import names
from cortex_cdk.config import Cluster, TrafficSplitter
from cortex_cdk.image_reference import repository_uri
from cortex_cdk.synthesis.specs import ClusterResources, provider_resources

PLACEHOLDER_ACCOUNT = "111111111111"


def placeholder_resources(cluster: Cluster) -> ClusterResources:
    """Return resources of a cluster that need not exist: ids of the right form, always the same."""
    id, region, account = _hexadecimal(cluster.name), cluster.region, PLACEHOLDER_ACCOUNT
    balancer = f"app/{names.ecs_cluster(cluster.name)}/{id[:16]}"
    repository = names.repository(cluster.name)
    return ClusterResources(
        cluster=cluster.name,
        vpc_id=cluster.vpc.id or f"vpc-{id[:17]}",
        ecs_cluster=names.ecs_cluster(cluster.name),
        load_balancer_arn=f"arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/{balancer}",
        load_balancer_full_name=balancer,
        listener_arn=f"arn:aws:elasticloadbalancing:{region}:{account}:listener/{balancer}/{id[:16]}",
        base_url=_placeholder_url(cluster),
        domain=cluster.domain,
        bucket=f"{names.ecs_cluster(cluster.name)}-{id[:16]}",
        repository=repository,
        repository_arn=f"arn:aws:ecr:{region}:{account}:repository/{repository}",
        repository_uri=repository_uri(account, region, repository),
        image_builder=names.image_builder(cluster.name),
        dashboard=names.dashboard(cluster.name),
        log_retention_days=cluster.log_retention,
        alarm_topic=cluster.alarm_topic,
        permissions_boundary=cluster.permissions_boundary,
        cloudformation_role=cluster.cloudformation_role,
        tags=cluster.tags,
        providers=provider_resources(cluster),
    )


def _placeholder_url(cluster: Cluster) -> str:
    host = cluster.domain or f"{names.ecs_cluster(cluster.name)}.{cluster.region}.elb.amazonaws.com"
    return f"{'https' if cluster.is_tls else 'http'}://{host}"


def placeholder_target_groups(region: str, splitter: TrafficSplitter) -> dict[str, str]:
    """Return ARNs of the right form for the target groups of a splitter's members, by member.

    Args:
        region: The cluster's region.
        splitter: The splitter.
    """
    prefix = f"arn:aws:elasticloadbalancing:{region}:{PLACEHOLDER_ACCOUNT}:targetgroup"
    return {
        variant.name: f"{prefix}/{_hexadecimal(variant.name)[:32]}/{_hexadecimal(variant.name)[:16]}"
        for variant in splitter.apis
    }


def _hexadecimal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
