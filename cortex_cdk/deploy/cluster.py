"""The cluster's stack: reading what it offers, making it, changing it."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_cdk import names
from cortex_cdk.assembly import ClusterResources, ClusterStackSpec, SynthesisRequest, synthesize
from cortex_cdk.cloud import Cloud
from cortex_cdk.config.cluster import Cluster
from cortex_cdk.deploy import recovery
from cortex_cdk.deploy.change_set import create_change_set
from cortex_cdk.deploy.operation import run
from cortex_cdk.deploy.progress import Progress
from cortex_cdk.deploy.stack import read_stack
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that can be deployed to.

    Attributes:
        resources: What its stack made.
        url: Where its load balancer answers, such as ``http://cortex-1.us-east-1.elb.amazonaws.com``.
    """

    name: str
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
        raise ClusterError(
            f"there is no cluster {name!r} in environment {environment.name!r} ({environment.region})",
            hint=f"make it with: cortex cluster up --env {environment.name}",
        )
    if not stack.outputs:
        raise ClusterError(f"the cluster {name!r} is not ready ({stack.status})", hint="wait, then try again")
    resources = ClusterResources.from_outputs(stack.outputs)
    return RunningCluster(name, resources, load_balancer_url(cloud, resources))


def load_balancer_url(cloud: Cloud, resources: ClusterResources) -> str:
    """Where the load balancer answers. Asked for each time: the address is the load balancer's own."""
    balancer = cloud.elbv2.describe_load_balancers(LoadBalancerArns=[resources.load_balancer_arn])["LoadBalancers"][0]
    scheme = resources.base_url.partition("://")[0]
    return f"{scheme}://{balancer['DNSName']}"


def put_cluster(cloud: Cloud, cluster: Cluster, progress: Progress) -> bool:
    """Make the cluster's stack, or change it to what ``cluster`` says.

    Returns:
        Whether anything was changed.

    Raises:
        ClusterError: The stack could not be made or changed, or the user said no.
        DeployError: CloudFormation refuses the template.
    """
    name = names.cluster_stack(cluster.name)
    stack = read_stack(cloud, name)
    deployed = recovery.settled(cloud, stack, force=False) if stack else None
    request = SynthesisRequest(stacks=(ClusterStackSpec(cluster=cluster),))
    change_set = create_change_set(
        cloud,
        name,
        template=synthesize(request)[name],
        parameters={},
        tags={names.TAG_CLUSTER: cluster.name, **cluster.tags},
        creates=deployed is None,
    )
    if change_set is None:
        return False
    progress.changes(cluster.name, change_set.changes)
    outcome = run(cloud, change_set, f"cluster {cluster.name}", progress)
    if not outcome.succeeded:
        cause = outcome.cause
        what = f"{cause.logical_id} ({cause.resource_type}): {cause.reason}" if cause else "no reason was given"
        raise ClusterError(f"the cluster {cluster.name!r} could not be deployed: {what}")
    return True


def ensure_cluster(cloud: Cloud, environment: Environment, progress: Progress) -> RunningCluster:
    """The environment's cluster; on this machine it is made on first use.

    Raises:
        ClusterError: It does not exist (elsewhere), or could not be made.
    """
    if environment.on_this_machine:
        stack = read_stack(cloud, names.cluster_stack(environment.cluster))
        if stack is None or not stack.outputs:
            progress.step(f"cluster {environment.cluster}", "creating (first use)")
            put_cluster(cloud, Cluster.default(environment.cluster, environment.region), progress)
    return read_cluster(cloud, environment)
