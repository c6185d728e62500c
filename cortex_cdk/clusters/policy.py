"""The IAM policies of those who make a cluster, and of those who deploy to it."""

from __future__ import annotations

from collections.abc import Sequence

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.permissions.documents import Policy, Purpose, Subject, policies
from cortex_cdk.clusters.change import check_identity, read_configuration
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.synthesis.specs import ClusterStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize


def cluster_policies(
    cloud: Cloud | None, environment: Environment, purposes: Sequence[Purpose], wanted: Cluster | None
) -> dict[Purpose, tuple[Policy, ...]]:
    """Write the smallest policies for those who use the environment's cluster.

    Whoever asks for a policy may have no permission yet, so that what cannot be read is left open: the account becomes
    ``*``.

    Args:
        cloud: A session of the environment; None where nobody answers there.
        environment: Whose cluster.
        purposes: Whom to write policies for.
        wanted: The configuration of the cluster; only what its stack has is then allowed. None takes the boundary and
            the role of what is deployed, and allows whatever a cluster may have.

    Raises:
        PreflightError: The configuration is that of another cluster.
        DeployError: Its stack cannot be synthesized.
    """
    if wanted:
        check_identity(wanted, environment)
    cluster = wanted or _deployed(cloud, environment) or environment.default_cluster()
    subject = Subject(
        cluster=environment.cluster,
        region=environment.region,
        account=cluster.account or _account(cloud),
        boundary=cluster.permissions_boundary,
        service_role=cluster.cloudformation_role,
        types=_types(wanted) if wanted else None,
    )
    return {purpose: policies(subject, purpose) for purpose in purposes}


def _types(cluster: Cluster) -> frozenset[str]:
    spec = ClusterStackSpec(cluster=cluster)
    template = synthesize(SynthesisRequest(stacks=(spec,)))[spec.stack_name]
    return frozenset(resource["Type"] for resource in template["Resources"].values())


def _deployed(cloud: Cloud | None, environment: Environment) -> Cluster | None:
    from botocore.exceptions import BotoCoreError, ClientError

    if cloud is None:
        return None
    try:
        stack = read_stack(cloud, names.cluster_stack(environment.cluster))
        return read_configuration(cloud, stack) if stack else None
    except (BotoCoreError, ClientError, ClusterError):
        return None


def _account(cloud: Cloud | None) -> str | None:
    from botocore.exceptions import BotoCoreError, ClientError

    if cloud is None:
        return None
    try:
        return cloud.sts.get_caller_identity()["Account"]
    except (BotoCoreError, ClientError):
        return None
