"""What a traffic splitter's stack is made from: the target groups of APIs that are deployed and answer."""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Config, TrafficSplitter
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import list_stacks, read_stack
from cortex_cdk.synthesis.specs import SplitterStackSpec


def check_members(cloud: Cloud, cluster: RunningCluster, config: Config) -> None:
    """Look whether every member of a splitter is deployed, or in the same file.

    Raises:
        DeployError: One is neither.
    """
    wanted = {variant.name: splitter.name for splitter in config.splitters for variant in splitter.apis}
    missing = sorted(wanted.keys() - {api.name for api in config.apis})
    if missing:
        missing = [name for name in missing if name not in _target_groups(cloud, cluster)]
    for name in missing:
        if read_stack(cloud, names.splitter_stack(cluster.name, name)):
            raise DeployError(
                f"{wanted[name]}: {name} is a traffic splitter", hint="name the APIs that shall answer as members"
            )
    if missing:
        raise DeployError(
            f"{wanted[missing[0]]}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not deployed",
            hint="deploy the member APIs first, or put them into the same file",
        )


def splitter_spec(cloud: Cloud, cluster: RunningCluster, splitter: TrafficSplitter, priority: int) -> SplitterStackSpec:
    """What a splitter's stack is made from; its members are deployed.

    Raises:
        DeployError: A member shall get requests that none of its replicas could answer.
    """
    groups = _target_groups(cloud, cluster)
    members = {variant.name: groups[variant.name] for variant in splitter.apis}
    for variant in splitter.apis:
        # A weighted rule does not pass over a group without targets: its share of the requests would be lost.
        if variant.weight and not _answers(cloud, members[variant.name]):
            raise DeployError(
                f"{splitter.name}: no replica of {variant.name} is ready, so its {variant.weight} % of the requests "
                "would fail",
                hint=f"wait until it is live (cortex get {variant.name}), or give it weight 0",
            )
    return SplitterStackSpec(cluster=cluster.resources, splitter=splitter, priority=priority, target_groups=members)


def refusal(cluster: RunningCluster, splitter: TrafficSplitter, error: DeployError) -> Applied:
    """What to tell of a splitter that was left as it was."""
    return Applied(
        name=splitter.name,
        kind=splitter.kind,
        endpoint=cluster.url + splitter.networking.endpoint,
        revision="",
        message=f"{splitter.name} ({splitter.kind}) was not deployed",
        changed=False,
        error=error,
    )


def _target_groups(cloud: Cloud, cluster: RunningCluster) -> dict[str, str]:
    """The target groups of the APIs that are deployed."""
    prefix = names.api_stack(cluster.name, "")
    return {
        stack.name.removeprefix(prefix): stack.outputs["TargetGroupArn"]
        for stack in list_stacks(cloud, prefix)
        if "TargetGroupArn" in stack.outputs
    }


def _answers(cloud: Cloud, target_group: str) -> bool:
    targets = cloud.elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
    return any(target["TargetHealth"]["State"] == "healthy" for target in targets)
