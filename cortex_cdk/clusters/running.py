"""Reads the environment's cluster, as deployments see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import missing, user_tags
from cortex_cdk.clusters.exposure import dangers
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
        url: Scheme and host of its endpoints, such as ``https://api.example.com``.
        address: The load balancer's own name, such as ``cortex-1.us-east-1.elb.amazonaws.com``.
        is_billed: Whether somebody pays for what runs there.
        is_on_the_network: Whether other machines can reach what runs there.
    """

    name: str
    environment: str
    resources: ClusterResources
    url: str
    address: str = ""
    is_billed: bool = True
    is_on_the_network: bool = True

    def __repr__(self) -> str:
        return f"<cluster {self.name} at {self.url}>"

    def tags_of(self, resource: str) -> dict[str, str]:
        """The tags of the stack of an API or splitter."""
        return {names.TAG_CLUSTER: self.name, names.TAG_API: resource, **self.resources.tags}

    def target_group_arn(self, full_name: str) -> str:
        """The ARN of a target group of its load balancer.

        Args:
            full_name: The ``TargetGroup`` dimension of metrics.
        """
        # arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>
        return ":".join([*self.resources.listener_arn.split(":")[:5], full_name])

    def dangers(self, open_apis: Sequence[str]) -> tuple[str, ...]:
        """What strangers on the internet can do, a line each; nothing where the stack does not say who is let in.

        Args:
            open_apis: The APIs that answer whoever asks.
        """
        is_public = bool(self.resources.is_public) and self.is_on_the_network
        return dangers(is_public=is_public, is_tls=self.url.startswith("https://"), open_apis=open_apis)


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
    address = load_balancer_address(cloud, resources)
    scheme = resources.base_url.partition("://")[0]
    return RunningCluster(
        name,
        environment.name,
        resources,
        f"{scheme}://{resources.domain or address}",
        address,
        environment.is_billed,
        environment.is_on_the_network,
    )


def planned_cluster(environment: Environment, cluster: Cluster) -> RunningCluster:
    """The cluster that an environment makes at its first use, before it is there: its ids are placeholders.

    Args:
        environment: Whose cluster.
        cluster: What the cluster would be.
    """
    resources = placeholder_resources(cluster)
    host = resources.base_url.partition("://")[2]
    return RunningCluster(
        cluster.name,
        environment.name,
        resources,
        resources.base_url,
        host,
        environment.is_billed,
        environment.is_on_the_network,
    )


def load_balancer_address(cloud: Cloud, resources: ClusterResources) -> str:
    """Ask for the name of a cluster's load balancer, which is its own, and in no output."""
    (balancer,) = cloud.elbv2.describe_load_balancers(LoadBalancerArns=[resources.load_balancer_arn])["LoadBalancers"]
    return balancer["DNSName"]
