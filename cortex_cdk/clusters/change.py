"""Making and changing a cluster: first a plan, which changes nothing, then its execution."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.capacity.pricing import Estimate, estimate
from cortex_cdk.clusters.checks import Finding, check, check_account
from cortex_cdk.clusters.listener_move import move_rules
from cortex_cdk.clusters.rules import Difference, differences, refusals
from cortex_cdk.clusters.usage import residents
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations import recovery
from cortex_cdk.stack_operations.change_set import MOST_TEMPLATE_BYTES, ChangeSet, as_text, create_change_set, discard
from cortex_cdk.stack_operations.operation import run
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, read_stack
from cortex_cdk.synthesis.specs import ClusterStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize


@dataclass(frozen=True)
class ClusterPlan:
    """What making or changing a cluster would do.

    Attributes:
        cluster: What the cluster would be.
        deployed: What it is; None where there is none.
        differences: The fields that would change.
        change_set: What CloudFormation would do; it waits to be carried out or discarded.
        cost: What the cluster would cost on AWS.
        warnings: What may go wrong.
    """

    cluster: Cluster
    deployed: Cluster | None
    differences: tuple[Difference, ...]
    change_set: ChangeSet
    cost: Estimate
    warnings: tuple[str, ...]


def read_configuration(cloud: Cloud, stack: StackState) -> Cluster:
    """The configuration that a cluster's stack was made from: it is in the template, its tags on the stack.

    Raises:
        ClusterError: It is not there, or of another version.
    """
    template = cloud.cloudformation.get_template(StackName=stack.id)["TemplateBody"]
    try:
        configuration = json.loads(template["Metadata"][names.CLUSTER_METADATA])
        return Cluster.model_validate({**configuration, "tags": user_tags(stack)})
    except (KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            f"{stack.name} was made by another version of cortex: its configuration cannot be read",
            hint="give it again: cortex cluster configure cluster.yaml",
        ) from error


def user_tags(stack: StackState) -> dict[str, str]:
    """The ``tags`` of a cluster's configuration: those of its stack that are not ours."""
    return {name: value for name, value in stack.tags.items() if not name.startswith("cortex:")}


def check_identity(cluster: Cluster, environment: Environment) -> None:
    """Compare name and region of a configuration with those of the environment.

    Raises:
        ClusterError: They differ.
    """
    for field, ours, theirs in (
        ("name", cluster.name, environment.cluster),
        ("region", cluster.region, environment.region),
    ):
        if ours != theirs:
            to_do = f"remove {field} from the file"
            if environment.is_configurable:
                to_do += f", or run: cortex env configure NAME --cluster {cluster.name} --region {cluster.region}"
            raise ClusterError(
                f"the file says {field}: {ours}, and environment {environment.name!r} has {theirs}", hint=to_do
            )


def plan_cluster(
    cloud: Cloud, environment: Environment, wanted: Cluster | None, *, creates: bool = True
) -> ClusterPlan | None:
    """Find out what has to be done to make the environment's cluster what is wanted.

    Args:
        wanted: The configuration; None keeps what is deployed, or takes the built-in one for a new cluster.
        creates: Whether a cluster that does not exist is made.

    Returns:
        The plan, or None where the cluster is up to date.

    Raises:
        ClusterError: The account, name or region is another, the cluster cannot be changed so, a check failed, or
            another operation runs.
        DeployError: CloudFormation refuses the template, or the stack cannot be recovered.
    """
    if wanted:
        check_identity(wanted, environment)
        check_account(cloud, wanted)
    stack = _settled(cloud, environment, creates=creates)
    deployed = _deployed(cloud, stack, needed=wanted is None) if stack else None
    cluster = wanted or deployed or environment.default_cluster()
    if deployed:
        _refuse(cloud, deployed, cluster)
    spec = ClusterStackSpec(cluster=cluster)
    if stack and stack.outputs.get("SpecDigest") == spec.digest:
        return None
    warnings = _warnings(cluster, check(cloud, cluster, creates=stack is None))
    change_set = _change_set(cloud, spec, creates=stack is None)
    if change_set is None:
        return None
    return ClusterPlan(
        cluster=cluster,
        deployed=deployed,
        differences=differences(deployed, cluster) if deployed else (),
        change_set=change_set,
        cost=estimate(cluster),
        warnings=warnings,
    )


def _settled(cloud: Cloud, environment: Environment, *, creates: bool) -> StackState | None:
    stack = read_stack(cloud, names.cluster_stack(environment.cluster))
    if stack and stack.in_progress:
        raise ClusterError(
            f"cluster {environment.cluster} is being changed by another operation ({stack.status})",
            hint="wait until it has ended",
        )
    settled = recovery.settled(cloud, stack, force=False) if stack else None
    if settled is None and not creates:
        raise missing(environment)
    return settled


def missing(environment: Environment) -> ClusterError:
    """The error that there is no cluster."""
    return ClusterError(
        f"there is no cluster {environment.cluster!r} in environment {environment.name!r} ({environment.region})",
        hint=f"make it with: cortex cluster up --env {environment.name}",
    )


def _deployed(cloud: Cloud, stack: StackState, *, needed: bool) -> Cluster | None:
    """What is deployed. A configuration that cannot be read does not stand in the way of a new one."""
    try:
        return read_configuration(cloud, stack)
    except ClusterError:
        if needed:
            raise
        return None


def _refuse(cloud: Cloud, deployed: Cluster, cluster: Cluster) -> None:
    reasons = refusals(deployed, cluster, residents(cloud, deployed))
    if reasons:
        raise ClusterError(
            f"cluster {cluster.name} cannot be changed so",
            details=reasons,
            hint="keep these values, or make another cluster with them (cortex env configure, cortex cluster up)",
        )


def _warnings(cluster: Cluster, findings: list[Finding]) -> tuple[str, ...]:
    fatal = [finding.text for finding in findings if finding.fatal]
    if fatal:
        raise ClusterError(f"cluster {cluster.name} cannot be made so: {fatal[0]}", details=fatal[1:])
    return tuple(finding.text for finding in findings)


def _change_set(cloud: Cloud, spec: ClusterStackSpec, *, creates: bool) -> ChangeSet | None:
    template = synthesize(SynthesisRequest(stacks=(spec,)))[spec.stack_name]
    size, groups = len(as_text(template).encode()), len(spec.cluster.instance_groups)
    if size > MOST_TEMPLATE_BYTES:
        raise ClusterError(
            f"cluster {spec.cluster.name} has too many instance groups ({groups}): its template has {size} bytes, and "
            f"CloudFormation takes {MOST_TEMPLATE_BYTES}",
            hint="give a group several instance_types, or make a second cluster; up to six groups fit in any case",
        )
    return create_change_set(
        cloud,
        spec.stack_name,
        template=template,
        parameters={},
        tags={names.TAG_CLUSTER: spec.cluster.name, **spec.cluster.tags},
        creates=creates,
    )


def apply_plan(cloud: Cloud, plan: ClusterPlan, progress: Progress) -> None:
    """Carry out a plan and wait until the cluster is what it says.

    Raises:
        ClusterError: The stack could not be made or changed, or an API could not follow it.
    """
    name = plan.cluster.name
    before = read_stack(cloud, names.cluster_stack(name))
    outcome = run(cloud, plan.change_set, f"cluster {name}", progress)
    if not outcome.succeeded:
        cause, stack = outcome.cause, outcome.stack
        what = (stack and stack.reason) or "no reason was given"
        if cause:
            what = f"{cause.logical_id} ({cause.resource_type}): {cause.reason}"
        aftermath = "nothing of it was kept" if plan.change_set.creates else "it is what it was before"
        raise ClusterError(f"the cluster {name!r} could not be deployed: {what}", hint=aftermath)
    _protect(cloud, name, progress)
    _follow(cloud, name, (_listener(before), _listener(outcome.stack)), progress)


def _protect(cloud: Cloud, cluster: str, progress: Progress) -> None:
    """Keep the stack, on which every API of the cluster runs, from being deleted otherwise than by ``cluster down``.

    Whoever may make a cluster, but not protect its stack, has a cluster nevertheless.
    """
    from botocore.exceptions import ClientError

    try:
        cloud.cloudformation.update_termination_protection(
            StackName=names.cluster_stack(cluster), EnableTerminationProtection=True
        )
    except ClientError as error:
        progress.step(f"cluster {cluster}", f"its stack is not protected from deletion: {error_message(error)}")


def _listener(stack: StackState | None) -> str | None:
    return stack.outputs.get("ListenerArn") if stack else None


def _follow(cloud: Cloud, cluster: str, listeners: tuple[str | None, str | None], progress: Progress) -> None:
    """Let what is deployed follow the cluster from its old listener to the new one, where that is another one."""
    old, new = listeners
    if not old or not new or old == new:
        return
    failures = move_rules(cloud, cluster, old, new, progress)
    if failures:
        raise ClusterError(
            f"the cluster {cluster!r} is ready, and not reachable at its new address is: {', '.join(failures)}",
            hint="deploy it again: cortex deploy",
            details=[f"{name}: {reason}" for name, reason in failures.items()],
        )


def discard_plan(cloud: Cloud, plan: ClusterPlan) -> None:
    """Forget a plan."""
    discard(cloud, plan.change_set)
