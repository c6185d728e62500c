"""Deploys what a configuration says.

A pipeline of values: configuration and project -> archive -> image -> plan -> template -> change set ->
execution -> rollout. All that can be wrong is found before the first stack is touched. APIs come before the
splitters that use them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.aws.errors import error_message
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Config, TrafficSplitter
from cortex_cdk.deploy import assets, images
from cortex_cdk.deploy.apply import Applied, Applier, PriorityTakenError, resource_of
from cortex_cdk.deploy.image_cleanup import remove_old_images
from cortex_cdk.deploy.listener_rules import EndpointTakenError, Rule, holder_of, priority_for, read_rules
from cortex_cdk.deploy.plan import StackPlan, plan_api, plan_splitter
from cortex_cdk.deploy.preflight.capacity import check_gpus, check_room, room_warning
from cortex_cdk.deploy.preflight.images import own_images
from cortex_cdk.deploy.preflight.load_balancer import check_load_balancer
from cortex_cdk.deploy.preflight.names import check_kinds
from cortex_cdk.deploy.splitters import check_members, refusal, splitter_spec
from cortex_cdk.errors import DeployError
from cortex_cdk.project.archive import ProjectArchive, ProjectFiles, archive
from cortex_cdk.project.dependencies import Dependencies
from cortex_cdk.stack_operations import recovery
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, read_stack
from cortex_cdk.synthesis.specs import ApiStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize

# CloudFormation throttles accounts that change many stacks at once.
PARALLEL_STACKS = 4
# Each time somebody else's rule has become visible, so that the same number is not chosen again.
MOST_ATTEMPTS = 3
IMAGE = "image"
"""What progress lines about building an image are about."""


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Attributes:
        force: Cancel an update that runs, rather than refuse.
        rebuild: Build images anew, though there are some for the same dependencies: for updates of what is not pinned.
    """

    force: bool = False
    rebuild: bool = False


class Deployer:
    """Deploys configurations to one cluster.

    Args:
        cloud: Where to.
        cluster: The cluster there.
        progress: Hears how it goes.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster, progress: Progress, options: Options) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._progress = progress
        self._options = options

    def deploy(self, config: Config, files: ProjectFiles, dependencies: Dependencies) -> list[Applied]:
        """Deploy everything that the configuration names. One API that fails does not stop the others.

        Args:
            files: The project's.
            dependencies: What it installs.

        Raises:
            CortexError: Nothing was changed: the cluster has no room for a replica, its load balancer has none for an
                API, or the project, an image, an endpoint, what has the name or a stack's state is in the way.
        """
        check_room(self._cluster.resources, config.apis)
        check_gpus(self._cloud, self._cluster.resources, config.apis)
        check_kinds(self._cloud, self._cluster.name, config)
        check_load_balancer(self._cloud, self._cluster.resources, config)
        own = own_images(self._cloud, config.apis)
        with tempfile.TemporaryDirectory(prefix="cortex-") as folder:
            project = archive(files, Path(folder) / "project.zip")
            self._ask_about(project)
            check_members(self._cloud, self._cluster, config)
            plans = self._plan_apis(config, project, dependencies, own)
            if any(plan.changes for plan in plans):
                bucket, key = self._cluster.resources.bucket, names.project_key(project.digest)
                assets.upload(self._cloud, project.path, bucket, key)
        done = self._apply(plans)
        return done if any(applied.error for applied in done) else done + self._deploy_splitters(config.splitters)

    def _ask_about(self, project: ProjectArchive) -> None:
        for warning in project.warnings:
            if not self._progress.confirm("project", f"{warning}. Deploy it all the same?"):
                raise DeployError(
                    f"not deployed: {warning}", hint="list what is not needed in .cortexignore, or accept with --yes"
                )

    def _plan_apis(
        self, config: Config, project: ProjectArchive, dependencies: Dependencies, own: Mapping[str, str]
    ) -> list[StackPlan]:
        stack_of = {api.networking.endpoint: names.api_stack(self._cluster.name, api.name) for api in config.apis}
        stacks = {endpoint: self._usable(stack) for endpoint, stack in stack_of.items()}
        deployed = {stack.parameters.get("Image", "") for stack in stacks.values() if stack}
        image_for = cache(lambda gpu, base: self._built_image(dependencies, gpu, base, deployed))
        image_of = {
            api.name: own.get(api.name) or image_for(api.compute.gpu > 0, api.predictor.base_image)
            for api in config.apis
        }
        # Only now: an image takes minutes, in which somebody else may take a priority.
        priorities = self._priorities(stacks)
        plans = []
        for api in config.apis:
            endpoint = api.networking.endpoint
            service = describe_service(self._cloud, self._cluster.name, api.name)
            plan = plan_api(
                ApiStackSpec(cluster=self._cluster.resources, api=api, priority=priorities[endpoint]),
                project_digest=project.digest,
                image=image_of[api.name],
                deployed=stacks[endpoint],
                desired=service["desiredCount"] if service else None,
            )
            plans.append(plan)
            self._warn_of_room(plan)
        return plans

    def _warn_of_room(self, plan: StackPlan) -> None:
        if plan.changes and isinstance(plan.spec, ApiStackSpec):
            warning = room_warning(plan.spec, plan.replicas)
            if warning:
                self._progress.step(plan.spec.api.name, f"warning: {warning}")

    def _deploy_splitters(self, splitters: Sequence[TrafficSplitter]) -> list[Applied]:
        """Deploy splitters. One that is refused neither stops the others nor hides what became of the APIs."""
        if not splitters:
            return []
        stack_of = {s.networking.endpoint: names.splitter_stack(self._cluster.name, s.name) for s in splitters}
        stacks = {endpoint: self._usable(stack) for endpoint, stack in stack_of.items()}
        priorities = self._priorities(stacks)
        plans, refused = [], []
        for splitter in splitters:
            endpoint = splitter.networking.endpoint
            try:
                spec = splitter_spec(self._cloud, self._cluster, splitter, priorities[endpoint])
                plans.append(plan_splitter(spec, stacks[endpoint]))
            except DeployError as error:
                refused.append(refusal(self._cluster, splitter, error))
        return self._apply(plans) + refused

    def _usable(self, name: str) -> StackState | None:
        """The stack as it can be planned with; one that is being changed as it will be."""
        stack = read_stack(self._cloud, name)
        if stack is None:
            return None
        if stack.status in recovery.JOINABLE and not self._options.force:
            return recovery.underway(self._cloud, stack)
        return recovery.settled(self._cloud, stack, force=self._options.force)

    def _priorities(self, stacks: Mapping[str, StackState | None]) -> dict[str, int]:
        """The priority of the rule for each endpoint, given the stack that has the rule now.

        Raises:
            EndpointTakenError: Another API or splitter, which the message names, has one of them.
        """
        own = {stack.outputs["ListenerRulePriority"] for stack in stacks.values() if stack}
        # What is deployed together may exchange endpoints, in whatever order the file has it. The numbers stay taken.
        rules = [
            Rule("", rule.priority) if str(rule.priority) in own else rule
            for rule in read_rules(self._cloud, self._cluster.resources.listener_arn)
        ]
        chosen: dict[str, int] = {}
        for endpoint, stack in stacks.items():
            kept = int(stack.outputs["ListenerRulePriority"]) if stack else None
            others = [rule for rule in rules if rule.priority != kept]
            try:
                chosen[endpoint] = priority_for(endpoint, kept, others)
            except EndpointTakenError as error:
                holder = holder_of(self._cloud, self._cluster.name, error.rule)
                raise (EndpointTakenError(error.rule, holder) if holder else error) from None
            rules = [*others, Rule(endpoint, chosen[endpoint])]
        return chosen

    def _built_image(self, dependencies: Dependencies, gpu: bool, base: str | None, deployed: Iterable[str]) -> str:
        """The image of these dependencies; ``deployed`` are images that are likely to share layers with it."""
        resources = self._cluster.resources
        builder = images.Builder(
            bucket=resources.bucket,
            project=resources.image_builder,
            repository=resources.repository,
            repository_uri=resources.repository_uri,
        )
        context = images.build_context(dependencies, gpu=gpu, base_image=base)
        rebuild = self._options.rebuild
        image = None if rebuild else images.find_image(self._cloud, builder, context.tag)
        if image is None:
            self._progress.step(IMAGE, "preparing (once for these dependencies)")
            similar = {image for image in deployed if image.startswith(f"{builder.repository_uri}@")}
            similar |= {image for image in [images.newest_image(self._cloud, builder)] if image}
            say = partial(self._progress.log, IMAGE)
            image = images.build_image(self._cloud, builder, context, say, cache=sorted(similar), rebuild=rebuild)
            self._progress.step(IMAGE, "ready")
            self._remove_old_images(builder.repository)
        return image

    def _remove_old_images(self, repository: str) -> None:
        """Make room where a new image came. That this may fail is no reason not to deploy."""
        from botocore.exceptions import ClientError

        try:
            removed = remove_old_images(self._cloud, self._cluster.name, repository)
        except ClientError as error:
            self._progress.step(IMAGE, f"warning: old images could not be removed: {error_message(error)}")
            return
        if removed:
            self._progress.step(IMAGE, f"{removed} old ones that nothing uses were removed")

    def _apply(self, plans: Sequence[StackPlan]) -> list[Applied]:
        """Carry out plans; one whose priority another deployment took meanwhile, with another priority."""
        done = self._attempt(plans)
        for _ in range(MOST_ATTEMPTS - 1):
            lost = [index for index, applied in enumerate(done) if isinstance(applied.error, PriorityTakenError)]
            again: dict[int, StackPlan] = {}
            for index in lost:
                try:
                    again[index] = self._with_another_priority(plans[index])
                except DeployError as error:
                    done[index] = replace(done[index], error=error)
            for index, applied in zip(again, self._attempt(list(again.values())), strict=True):
                done[index] = applied
        return done

    def _with_another_priority(self, plan: StackPlan) -> StackPlan:
        """The same plan with a priority that is free now.

        Raises:
            DeployError: There is none, or it was the endpoint that the other deployment took.
        """
        resource = resource_of(plan)
        endpoint = resource.networking.endpoint
        priority = self._priorities({endpoint: self._usable(plan.spec.stack_name)})[endpoint]
        self._progress.step(resource.name, "another deployment took its priority in the listener: taking the next one")
        return replace(plan, spec=plan.spec.model_copy(update={"priority": priority}), synthesize=True)

    def _attempt(self, plans: Sequence[StackPlan]) -> list[Applied]:
        if not plans:
            return []
        missing = tuple(plan.spec for plan in plans if plan.changes and plan.synthesize)
        templates = synthesize(SynthesisRequest(stacks=missing)) if missing else {}
        applier = Applier(self._cloud, self._cluster, self._progress, templates)
        pool = ThreadPoolExecutor(PARALLEL_STACKS)
        try:
            return list(pool.map(applier.apply, plans))
        finally:
            # An interrupt must not wait for deployments, which go on by themselves.
            pool.shutdown(wait=False, cancel_futures=True)
