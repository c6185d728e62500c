"""The IAM policies of those who make a cluster, and of those who deploy to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.permissions.documents import Policy, Purpose, Subject, policies
from cortex_cdk.clusters.change import read_configuration
from cortex_cdk.clusters.checks import check_identity
from cortex_cdk.config import Cluster
from cortex_cdk.config.load_cluster import load_cluster
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.synthesis.specs import ClusterStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize


def cluster_policies(
    environment: Environment, purposes: Sequence[Purpose], config: Path | str | None = None
) -> dict[Purpose, tuple[Policy, ...]]:
    """Write the smallest policies for those who use the environment's cluster.

    Whoever asks for a policy may have no permission yet, so that what cannot be read is left open: the account becomes
    ``*``.

    Args:
        environment: Whose cluster.
        purposes: Whom to write policies for.
        config: The cluster's configuration file; only what its stack has is then allowed. None takes the boundary and
            the role of what is deployed, and allows whatever a cluster may have.

    Raises:
        ConfigError: The file cannot be used.
        PreflightError: The configuration is that of another cluster.
        DeployError: Its stack cannot be synthesized.
    """
    wanted = load_cluster(Path(config), name=environment.cluster, region=environment.region) if config else None
    if wanted:
        check_identity(wanted, environment)
    cloud = environment.connect_unless_stopped()
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
