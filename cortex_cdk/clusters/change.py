"""Makes and changes a cluster.

    read -> checks -> plan (``plan_cluster``) -> the user agrees -> recover -> execute (``apply_plan``)

Planning writes nothing (docs/decisions/0052).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.capacity.pricing import Estimate, estimate
from cortex_cdk.clusters.allowed_changes import Difference, differences, refusals
from cortex_cdk.clusters.checks import (
    CHECKED,
    WantedCluster,
    check,
    check_account,
    check_identity,
    check_machine_images,
)
from cortex_cdk.clusters.exposure import dangers_of_plan
from cortex_cdk.clusters.failures import failure
from cortex_cdk.clusters.hosted_zone import find_zone
from cortex_cdk.clusters.instances import (
    GroupSize,
    end_instances,
    groups_of_providers,
    restore,
    stacked_groups,
    unprotect,
)
from cortex_cdk.clusters.launches import LaunchWatcher
from cortex_cdk.clusters.listener_move import move_rules
from cortex_cdk.clusters.members import check_members
from cortex_cdk.clusters.usage import computes_by_group
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError, Finding, PreflightError
from cortex_cdk.stack_operations.change_set import MOST_TEMPLATE_BYTES, ChangeSet, as_text, create_change_set
from cortex_cdk.stack_operations.operation import run
from cortex_cdk.stack_operations.plan_report import PlannedStack, PlanReport
from cortex_cdk.stack_operations.preview import StackPreview, preview
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.recovery import Recovery, recover, recovery_for
from cortex_cdk.stack_operations.stack import StackState, read_stack
from cortex_cdk.synthesis.specs import ClusterStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize

CLUSTER_KIND = "Cluster"
"""What a plan calls a cluster, where it calls others ``RealtimeAPI``."""


@dataclass(frozen=True)
class ClusterPlan:
    """What making or changing a cluster would do.

    Attributes:
        cluster: What the cluster would be.
        deployed: What it is; None where there is none.
        differences: The fields that would change.
        template: The template of its stack.
        stack: Its stack now; None where there is none.
        recovery: What has to happen to that stack first; None where it can be changed as it is.
        preview: What would be done to the stack's resources.
        cost: What the cluster would cost on AWS.
        warnings: What may go wrong.
    """

    cluster: Cluster
    deployed: Cluster | None
    differences: tuple[Difference, ...]
    template: Mapping[str, Any]
    stack: StackState | None
    recovery: Recovery | None
    preview: StackPreview
    cost: Estimate
    warnings: tuple[str, ...]

    def report(self) -> PlanReport:
        """The plan as it is shown."""
        one = PlannedStack(
            name=self.cluster.name,
            kind=CLUSTER_KIND,
            preview=self.preview,
            lines=tuple(map(str, self.differences)),
            differences={"settings": [difference.as_json() for difference in self.differences]},
        )
        before = estimate(self.deployed) if self.deployed else None
        return PlanReport((one,), before, self.cost, CHECKED, self.warnings)


def read_configuration(cloud: Cloud, stack: StackState) -> Cluster:
    """Read the configuration that a cluster was made from: from the template of its stack, and from the stack's tags.

    Args:
        cloud: A session of the environment.
        stack: The cluster's stack.

    Raises:
        ClusterError: The template has none, or one of another version.
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
    """Pick the ``tags`` of a cluster's configuration from its stack's tags: those that are not ours."""
    return {name: value for name, value in stack.tags.items() if not name.startswith(names.TAG_PREFIX)}


def plan_cluster(
    cloud: Cloud, environment: Environment, wanted: Cluster | None, *, creates: bool = True
) -> ClusterPlan | None:
    """Find out what has to be done to make the environment's cluster what is wanted.

    Args:
        cloud: A session of the environment.
        environment: Whose cluster.
        wanted: The configuration; None keeps what is deployed, or takes the built-in one for a new cluster.
        creates: Whether a cluster that does not exist is made.

    Returns:
        The plan, or None where the cluster is up to date.

    Raises:
        PreflightError: The cluster cannot be made or changed so; the error has every reason.
        ClusterError: The account is another, there is no cluster, or another operation runs.
        DeployError: CloudFormation refuses the template.
    """
    if wanted:
        check_identity(wanted, environment)
        check_account(cloud, wanted)
    stack = changeable(cloud, environment)
    recovery = recovery_for(stack) if stack else None
    kept = None if recovery and recovery.leaves_nothing else stack
    if kept is None and not creates:
        raise missing(environment)
    deployed = _deployed(cloud, kept, needed=wanted is None) if kept else None
    cluster = wanted or deployed or environment.default_cluster()
    zone = find_zone(cloud, cluster)
    spec = ClusterStackSpec(cluster=cluster, hosted_zone_id=zone.id if zone else None)
    unchanged = kept is not None and recovery is None and kept.outputs.get(names.Output.SPEC_DIGEST) == spec.digest
    if unchanged:
        return None
    warnings = _check(WantedCluster(cloud, cluster, kept is None, zone), deployed)
    template = _template(spec)
    warnings += _accepted(cluster, check_machine_images(cloud, cluster, template), is_new=kept is None)
    found = preview(
        cloud,
        kept,
        spec.stack_name,
        template=template,
        parameters={},
        tags=_tags(cluster),
        recovery=recovery,
    )
    if not found.changes:
        return None
    return ClusterPlan(
        cluster=cluster,
        deployed=deployed,
        differences=differences(deployed, cluster) if deployed else (),
        template=template,
        stack=stack,
        recovery=recovery,
        preview=found,
        cost=estimate(cluster),
        warnings=(*dangers_of_plan(environment, cluster), *warnings),
    )


def changeable(cloud: Cloud, environment: Environment) -> StackState | None:
    """Read the cluster's stack; None where there is none.

    Raises:
        ClusterError: Another operation runs on it.
    """
    stack = read_stack(cloud, names.cluster_stack(environment.cluster))
    if stack and stack.in_progress:
        raise ClusterError(
            f"cluster {environment.cluster} is being changed by another operation ({stack.status})",
            hint="wait until it has ended",
        )
    return stack


def missing(environment: Environment) -> ClusterError:
    """Say that there is no cluster, and what makes one."""
    if environment.makes_its_cluster:
        return ClusterError(
            f"nothing is deployed in environment {environment.name!r} yet: its first deployment makes its cluster",
            hint="deploy a project with: cortex deploy (cortex init starts one)",
        )
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


def _check(wanted: WantedCluster, deployed: Cluster | None) -> tuple[str, ...]:
    """Look for what may not be changed, and for what the account lacks.

    Returns:
        The warnings.

    Raises:
        PreflightError: Something stands in the way.
    """
    cluster = wanted.cluster
    keep = "keep these values, or make another cluster with them (cortex env configure, cortex cluster up)"
    reasons = refusals(deployed, cluster, computes_by_group(wanted.cloud, deployed)) if deployed else ()
    findings = [*(wanted.finding(reason, keep) for reason in reasons), *check(wanted)]
    return _accepted(cluster, findings, is_new=wanted.is_new)


def _accepted(cluster: Cluster, findings: Sequence[Finding], *, is_new: bool) -> tuple[str, ...]:
    """Return the warnings among findings in words, or raise those that stand in the way."""
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        raise PreflightError(f"cluster {cluster.name} was not {'made' if is_new else 'changed'}", fatal)
    return tuple(": ".join(filter(None, (finding.message, finding.hint))) for finding in findings)


def _template(spec: ClusterStackSpec) -> dict[str, Any]:
    template = synthesize(SynthesisRequest(stacks=(spec,)))[spec.stack_name]
    size, groups = len(as_text(template).encode()), len(spec.cluster.instance_groups)
    if size > MOST_TEMPLATE_BYTES:
        raise ClusterError(
            f"cluster {spec.cluster.name} has too many instance groups ({groups}): its template has {size} bytes, and "
            f"CloudFormation takes {MOST_TEMPLATE_BYTES}",
            hint="give a group several instance_types, or make a second cluster; up to six groups fit in any case",
        )
    return template


def _change_set(cloud: Cloud, cluster: Cluster, template: Mapping[str, Any], *, creates: bool) -> ChangeSet | None:
    return create_change_set(
        cloud,
        names.cluster_stack(cluster.name),
        template=template,
        parameters={},
        tags=_tags(cluster),
        creates=creates,
        role=cluster.cloudformation_role,
    )


def _tags(cluster: Cluster) -> dict[str, str]:
    return {names.TAG_CLUSTER: cluster.name, **cluster.tags}


def apply_plan(cloud: Cloud, plan: ClusterPlan, progress: Progress) -> None:
    """Carry out a plan and wait until the cluster is as planned.

    Args:
        cloud: A session of the environment.
        plan: What ``plan_cluster`` returned.
        progress: Hears of each step.

    Raises:
        ClusterError: The stack could not be made or changed, or an API could not follow it.
        DeployError: The stack could not be recovered, or another operation was quicker.
    """
    name = plan.cluster.name
    subject, creates = f"cluster {name}", plan.stack is None
    before = read_stack(cloud, names.cluster_stack(name))
    kept = set(stacked_groups(cloud, before.id)) if before else set()
    if plan.recovery and plan.stack:
        if plan.recovery.leaves_nothing:
            unprotect(cloud, kept)
        role = plan.cluster.cloudformation_role
        left = recover(cloud, plan.stack, partial(progress.step, subject), force=False, role=role)
        creates = left is None
    # Before the instances of removed groups end: CloudFormation may refuse the template.
    change_set = _change_set(cloud, plan.cluster, plan.template, creates=creates)
    if change_set is None:
        return
    sizes = _end_instances_of_removed_groups(cloud, plan, progress)
    outcome = run(
        cloud,
        change_set,
        subject,
        progress,
        watcher=LaunchWatcher(cloud, change_set.stack_id),
        on_rollback=partial(_let_go, cloud, change_set.stack_id, kept, progress),
    )
    if not outcome.succeeded:
        restore(cloud, sizes)
        raise failure(name, outcome, creates=change_set.creates)
    _protect(cloud, name, progress)
    check_members(cloud, name, progress)
    _follow(cloud, plan.cluster, (_listener(before), _listener(outcome.stack)), progress)


def _end_instances_of_removed_groups(cloud: Cloud, plan: ClusterPlan, progress: Progress) -> tuple[GroupSize, ...]:
    """End the instances of the groups that the plan removes, before CloudFormation deletes the groups.

    Returns:
        The sizes that the groups had.
    """
    kept = {group.name for group in plan.cluster.instance_groups}
    removed = [group.name for group in plan.deployed.instance_groups if group.name not in kept] if plan.deployed else []
    if not removed:
        return ()
    progress.step(f"cluster {plan.cluster.name}", f"ending the instances of {', '.join(removed)}")
    providers = [names.capacity_provider(plan.cluster.name, group) for group in removed]
    return end_instances(cloud, list(groups_of_providers(cloud, providers).values()))


def _let_go(cloud: Cloud, stack_id: str, kept: Set[str], progress: Progress) -> None:
    """Let a roll-back delete the groups that were made just now, whose instances are protected."""
    from botocore.exceptions import ClientError

    try:
        unprotect(cloud, set(stacked_groups(cloud, stack_id)) - kept)
    except ClientError as error:
        progress.step("instances", f"they are protected, and the roll-back may wait for them: {error_message(error)}")


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


def _follow(cloud: Cloud, cluster: Cluster, listeners: tuple[str | None, str | None], progress: Progress) -> None:
    """Let what is deployed follow the cluster from its old listener to the new one, where that is another one."""
    old, new = listeners
    if not old or not new or old == new:
        return
    failures = move_rules(cloud, cluster.name, old, new, progress, role=cluster.cloudformation_role)
    if failures:
        raise ClusterError(
            f"the cluster {cluster.name!r} is ready, and not reachable at its new address is: {', '.join(failures)}",
            hint="deploy it again: cortex deploy",
            details=[f"{name}: {reason}" for name, reason in failures.items()],
        )
