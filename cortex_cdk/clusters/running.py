"""The environment's cluster, as deployments see it."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import apply_plan, missing, plan_cluster, user_tags
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations import recovery
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.synthesis.synthesize import ClusterResources


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that can be deployed to.

    Attributes:
        environment: Name of the environment that it belongs to.
        resources: What its stack made.
        url: Where its load balancer answers, such as ``http://cortex-1.us-east-1.elb.amazonaws.com``.
    """

    name: str
    environment: str
    resources: ClusterResources
    url: str


def read_cluster(cloud: Cloud, environment: Environment) -> RunningCluster:
    """The environment's cluster.

    Raises:
        ClusterError: It does not exist, or is not ready.
    """
    name = environment.cluster
    stack = read_stack(cloud, names.cluster_stack(name))
    if stack is None or stack.status == "REVIEW_IN_PROGRESS":
        raise missing(environment)
    if not stack.outputs:
        raise ClusterError(f"the cluster {name!r} is not ready ({stack.status})", hint="wait, then try again")
    resources = ClusterResources.from_outputs(stack.outputs).model_copy(update={"tags": user_tags(stack)})
    return RunningCluster(name, environment.name, resources, load_balancer_url(cloud, resources))


def load_balancer_url(cloud: Cloud, resources: ClusterResources) -> str:
    """Where the load balancer answers. Asked for each time: the address is the load balancer's own."""
    balancer = cloud.elbv2.describe_load_balancers(LoadBalancerArns=[resources.load_balancer_arn])["LoadBalancers"][0]
    scheme = resources.base_url.partition("://")[0]
    return f"{scheme}://{balancer['DNSName']}"


def ensure_cluster(cloud: Cloud, environment: Environment, progress: Progress) -> RunningCluster:
    """The environment's cluster; on this machine it is made on first use.

    Raises:
        ClusterError: It does not exist (elsewhere), or could not be made.
    """
    if environment.on_this_machine and not _is_made(cloud, environment):
        # Of several commands that find no cluster, one makes it and the others wait.
        with environment.first_use():
            if not _is_made(cloud, environment):
                progress.step(f"cluster {environment.cluster}", "creating (first use)")
                plan = plan_cluster(cloud, environment, None)
                if plan:
                    apply_plan(cloud, plan, progress)
    return read_cluster(cloud, environment)


def _is_made(cloud: Cloud, environment: Environment) -> bool:
    """Whether the cluster's stack has been made; one that is just being made is waited for."""
    stack = read_stack(cloud, names.cluster_stack(environment.cluster))
    if stack and stack.in_progress:
        stack = recovery.wait(cloud, stack)
    return bool(stack and stack.outputs)
