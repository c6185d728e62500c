"""Makes the cluster of an environment that makes its cluster by itself."""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import apply_plan, plan_cluster
from cortex_cdk.clusters.running import RunningCluster, read_cluster
from cortex_cdk.environment import Environment
from cortex_cdk.stack_operations.interruption import wait
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import read_stack


def ensure_cluster(cloud: Cloud, environment: Environment, progress: Progress) -> RunningCluster:
    """The environment's cluster, made now if this is its first use and the environment makes it by itself.

    Args:
        cloud: A session of the environment.
        environment: Whose cluster.
        progress: Hears that the cluster is being made.

    Raises:
        ClusterError: The cluster does not exist and has to be made by the user, or it could not be made.
    """
    if environment.makes_its_cluster and not is_made(cloud, environment):
        # Of several commands that find no cluster, one makes it and the others wait.
        with environment.first_use():
            if not is_made(cloud, environment):
                progress.step(f"cluster {environment.cluster}", "creating (first use)")
                plan = plan_cluster(cloud, environment, None)
                if plan:
                    apply_plan(cloud, plan, progress)
    return read_cluster(cloud, environment)


def is_made(cloud: Cloud, environment: Environment) -> bool:
    """Whether the cluster's stack has been made; one that is just being made is waited for."""
    stack = read_stack(cloud, names.cluster_stack(environment.cluster))
    if stack and stack.in_progress:
        stack = wait(cloud, stack)
    return bool(stack and stack.outputs)
