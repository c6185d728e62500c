"""What a deployment would do, found without a single write: ``cortex deploy --plan``.

    read -> preflight -> plan each stack -> templates -> compare with the deployed ones (``stack_operations.preview``)

An image that is missing is not built: its API gets a new revision in any case, whatever the image will be called.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.capacity.pricing import Estimate, ReplicaGroup, estimate_replicas
from cortex_cdk.clusters.change import plan_cluster
from cortex_cdk.clusters.ensure import is_made
from cortex_cdk.clusters.running import RunningCluster, planned_cluster, read_cluster
from cortex_cdk.config import Compute, RealtimeApi, TrafficSplitter
from cortex_cdk.deploy import images
from cortex_cdk.deploy.deployer import Options
from cortex_cdk.deploy.deployment import Deployment, Target, Wanted, read_deployment
from cortex_cdk.deploy.differences import differences
from cortex_cdk.deploy.plan import JOIN, NOTHING, Release, StackPlan, plan_stack
from cortex_cdk.deploy.preflight.checks import CHECKS, check
from cortex_cdk.deploy.source import Source
from cortex_cdk.deploy.user_images import own_images
from cortex_cdk.environment import Environment
from cortex_cdk.errors import DeployError
from cortex_cdk.project.archive import archive
from cortex_cdk.secrets.lookup import look_up
from cortex_cdk.stack_operations import preview as stacks
from cortex_cdk.stack_operations.plan_report import PlannedStack, PlanReport
from cortex_cdk.synthesis.deployed_configuration import read_configuration
from cortex_cdk.synthesis.placeholders import placeholder_target_groups
from cortex_cdk.synthesis.specs import ApiStackSpec, SplitterStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize

TO_BE_BUILT = "(built by this deployment)"
"""Stands for an image that is not there yet."""


@dataclass(frozen=True)
class _Read:
    """What a plan is made from: the deployment, and the APIs whose image would be built."""

    deployment: Deployment
    warnings: tuple[str, ...]
    unbuilt: tuple[str, ...]


class Previewer:
    """Plans deployments to one cluster, and writes nothing.

    Args:
        cloud: Where to.
        cluster: The cluster there, or the one that would be made first.
        options: How to deploy.
        is_made: Whether the cluster is there.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster, options: Options, *, is_made: bool = True) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._options = options
        self._is_made = is_made

    def plan(self, source: Source) -> PlanReport:
        """Find out what deploying a project would do.

        Args:
            source: What to deploy.

        Raises:
            PreflightError: Something is in the way; the error has all of it.
            CortexError: The project is not accepted, or its templates cannot be synthesized.
        """
        with tempfile.TemporaryDirectory(prefix="cortex-") as folder:
            project = archive(source.files, Path(folder) / "project.zip")
            read = self._read(source, project.digest)
            plans = [*read.deployment.plan_apis(unbuilt=TO_BE_BUILT), *self._splitters(read.deployment)]
            specs = tuple(plan.release.spec for plan in plans if plan.changes and plan.synthesize)
            templates = synthesize(SynthesisRequest(stacks=specs)) if specs else {}
            planned = tuple(self._planned(plan, templates, project.path) for plan in plans)
        staying = {one.name for one in planned if not one.preview.changes}
        costs = self._costs(read.deployment)
        return PlanReport(
            stacks=planned,
            cost_before=costs[0],
            cost_after=costs[1],
            checked=tuple(known.what for known in CHECKS),
            warnings=(*project.warnings, *(line for line in read.warnings if line.partition(":")[0] not in staying)),
            images=read.unbuilt,
        )

    def _read(self, source: Source, digest: str) -> _Read:
        config, contexts = source.config, images.contexts(source.config.apis, source.dependencies)
        builder = images.Builder.of(self._cluster.resources)
        known: Mapping[images.Flavour, str | None] = dict.fromkeys(contexts)
        if self._is_made and not self._options.rebuild:
            known = images.find(self._cloud, builder, contexts)
        found = images.of_apis(config.apis, own_images(self._cloud, config.apis), known)
        secrets = look_up(self._cloud, config.secret_references)
        wanted = Wanted(config, digest, found, self._options.force, secrets, self._options.waits)
        deployment = (
            read_deployment(self._cloud, self._cluster, wanted)
            if self._is_made
            else _on_nothing(self._cloud, self._cluster, wanted)
        )
        warnings = tuple(f"{finding.subject}: {finding.message}" for finding in check(deployment))
        unbuilt = tuple(name for name, image in found.items() if image is None)
        return _Read(deployment, warnings, unbuilt)

    def _splitters(self, deployment: Deployment) -> Iterable[StackPlan]:
        endpoints, groups = deployment.splitter_endpoints(), deployment.target_groups()
        for target in deployment.splitters:
            if isinstance(target.resource, TrafficSplitter):
                members = {**placeholder_target_groups(self._cloud.region, target.resource), **groups}
                spec = SplitterStackSpec(
                    cluster=self._cluster.resources,
                    splitter=target.resource,
                    priority=endpoints.priority(target.endpoint),
                    target_groups={one.name: members[one.name] for one in target.resource.apis},
                )
                yield plan_stack(Release(spec), target.deployed, force=deployment.wanted.force)

    def _planned(self, plan: StackPlan, templates: Mapping[str, Mapping[str, Any]], project: Path) -> PlannedStack:
        spec, resource = plan.release.spec, plan.release.resource
        if plan.action in (NOTHING, JOIN):
            lines = ("the same is being deployed already",) if plan.action == JOIN else ()
            untouched = stacks.StackPreview(spec.stack_name, stacks.NOTHING)
            return PlannedStack(resource.name, resource.kind, untouched, lines)
        leaves_nothing = plan.recovery is not None and plan.recovery.leaves_nothing
        found = stacks.preview(
            self._cloud,
            None if leaves_nothing else plan.stack,
            spec.stack_name,
            template=templates[spec.stack_name] if plan.synthesize else None,
            parameters=plan.parameters,
            tags=self._cluster.tags_of(resource.name),
            recovery=plan.recovery,
            outputs_matter=False,
        )
        is_update = found.action == stacks.UPDATE
        compared = differences(self._cloud, self._cluster.resources.bucket, plan, project) if is_update else None
        return PlannedStack(
            name=resource.name,
            kind=resource.kind,
            preview=found,
            lines=tuple(compared.lines()) if compared else (),
            replaces_replicas=is_update and isinstance(spec, ApiStackSpec) and plan.replaces_replicas,
            differences=compared.as_json() if compared else None,
        )

    def _costs(self, deployment: Deployment) -> tuple[Estimate | None, Estimate]:
        """What the configuration's APIs cost as they are deployed, and as they would be."""
        before = [group for target in deployment.apis if (group := self._deployed_replicas(target))]
        after = [
            self._replicas(target.name, target.resource.compute, target.resource.autoscaling.model_dump())
            for target in deployment.apis
            if isinstance(target.resource, RealtimeApi)
        ]
        region = self._cloud.region
        return (estimate_replicas(before, region) if before else None, estimate_replicas(after, region))

    def _deployed_replicas(self, target: Target) -> ReplicaGroup | None:
        if target.stack is None or target.stack.never_worked:
            return None
        digest = target.stack.outputs.get(names.Output.SPEC_DIGEST, "")
        known = read_configuration(self._cloud, self._cluster.resources.bucket, digest)
        try:
            return self._replicas(target.name, Compute.model_validate(known["compute"]), known["autoscaling"])
        except (KeyError, ValidationError, DeployError):
            # Of another version, or of an instance group that is gone: what it costs is not known.
            return None

    def _replicas(self, name: str, compute: Compute, scaling: Mapping[str, Any]) -> ReplicaGroup:
        provider = self._cluster.resources.provider_for(compute)
        return ReplicaGroup(
            name=name,
            compute=compute,
            fewest=scaling["min_replicas"],
            most=scaling["max_replicas"],
            instance_types=provider.instance_types,
            max_instances=provider.max_instances,
        )


def plan_deployment(cloud: Cloud, environment: Environment, source: Source, options: Options) -> PlanReport:
    """Find out what a deployment would do, the cluster included that an environment makes at its first use.

    Args:
        cloud: A session of the environment. It is only read from.
        environment: Where to.
        source: What to deploy.
        options: How to deploy.

    Raises:
        PreflightError: Something is in the way; the error has all of it.
        CortexError: The plan cannot be made; the message says why.
    """
    if not environment.makes_its_cluster or is_made(cloud, environment):
        return Previewer(cloud, read_cluster(cloud, environment), options).plan(source)
    first = plan_cluster(cloud, environment, None)
    cluster = planned_cluster(environment, first.cluster if first else environment.default_cluster())
    found = Previewer(cloud, cluster, options, is_made=False).plan(source)
    if first is None:
        return found
    # The replicas run on the instances of the cluster, whose cost is that of both.
    return replace(found, stacks=(*first.report().stacks, *found.stacks), cost_after=first.cost)


def _on_nothing(cloud: Cloud, cluster: RunningCluster, wanted: Wanted) -> Deployment:
    """A deployment to a cluster that is made first, and has nothing yet."""

    def targets(resources: Sequence[RealtimeApi | TrafficSplitter], stack_of: Any) -> tuple[Target, ...]:
        return tuple(Target(one, stack_of(cluster.name, one.name), None, None) for one in resources)

    return Deployment(
        cloud=cloud,
        cluster=cluster,
        wanted=wanted,
        apis=targets(wanted.config.apis, names.api_stack),
        splitters=targets(wanted.config.splitters, names.splitter_stack),
        stacks={},
        rules=(),
    )
