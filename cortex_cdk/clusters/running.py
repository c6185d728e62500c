"""Reads the environment's cluster, as deployments see it."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import missing, user_tags
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.synthesis.placeholders import placeholder_resources
from cortex_cdk.synthesis.specs import ClusterResources


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that can be deployed to.

    Attributes:
        name: The cluster's name.
        environment: Name of the environment that it belongs to.
        resources: What its stack made.
        url: Where its load balancer answers, such as ``http://cortex-1.us-east-1.elb.amazonaws.com``.
        is_billed: Whether somebody pays for what runs there.
    """

    name: str
    environment: str
    resources: ClusterResources
    url: str
    is_billed: bool = True


def read_cluster(cloud: Cloud, environment: Environment) -> RunningCluster:
    """Read the environment's cluster.

    Args:
        cloud: A session of the environment.
        environment: Whose cluster.

    Raises:
        ClusterError: There is none, or it is not ready.
    """
    name = environment.cluster
    stack = read_stack(cloud, names.cluster_stack(name))
    if stack is None or stack.status == "REVIEW_IN_PROGRESS":
        raise missing(environment)
    if not stack.outputs:
        raise ClusterError(f"the cluster {name!r} is not ready ({stack.status})", hint="wait, then try again")
    resources = ClusterResources.from_outputs(stack.outputs).model_copy(update={"tags": user_tags(stack)})
    url = load_balancer_url(cloud, resources)
    return RunningCluster(name, environment.name, resources, url, environment.is_billed)


def planned_cluster(environment: Environment, cluster: Cluster) -> RunningCluster:
    """The cluster that an environment makes at its first use, before it is there: its ids are placeholders.

    Args:
        environment: Whose cluster.
        cluster: What the cluster would be.
    """
    resources = placeholder_resources(cluster)
    return RunningCluster(cluster.name, environment.name, resources, resources.base_url, environment.is_billed)


def load_balancer_url(cloud: Cloud, resources: ClusterResources) -> str:
    """Ask where a cluster's load balancer answers. Its address is its own, and is in no output."""
    balancer = cloud.elbv2.describe_load_balancers(LoadBalancerArns=[resources.load_balancer_arn])["LoadBalancers"][0]
    scheme = resources.base_url.partition("://")[0]
    return f"{scheme}://{balancer['DNSName']}"
