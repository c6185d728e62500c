"""Deploys what a configuration says.

    read -> preflight -> images -> plan -> templates and archive -> (for each stack) recover -> execute

Nothing that runs is touched before "recover", and everything that can fail without touching it comes first. A build
only adds an image to the repository, an upload an object to the bucket: nothing that runs sees either. A stack that
cannot be changed as it is (an update that is to be given up, what is left of a first deployment that failed) is
recovered when its own turn has come, with image, archive and template at hand.

A build takes minutes, so everything is read and checked once more after it. Traffic splitters come after the APIs: they
are made from the APIs' target groups (decision 0023).
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cortex_cdk import names
from cortex_cdk.access_keys import ClusterKeys
from cortex_cdk.aws.checks import Check, run_checks
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Config, TrafficSplitter
from cortex_cdk.deploy import assets, images
from cortex_cdk.deploy.apply import Applied, Applier
from cortex_cdk.deploy.deployment import Deployment, Target, Wanted, read_deployment
from cortex_cdk.deploy.differences import differences
from cortex_cdk.deploy.failures import PriorityTakenError
from cortex_cdk.deploy.image_cleanup import remove_old_images
from cortex_cdk.deploy.plan import Release, StackPlan, plan_stack
from cortex_cdk.deploy.preflight.checks import check
from cortex_cdk.deploy.preflight.endpoints import name_holder
from cortex_cdk.deploy.recording import Occasion, Recorder
from cortex_cdk.deploy.scaling import scaling_in_words
from cortex_cdk.deploy.scaling_defaults import Updates, changed_by_defaults
from cortex_cdk.deploy.splitters import member_failed, splitter_spec
from cortex_cdk.deploy.user_images import own_images
from cortex_cdk.errors import DeployError, Finding
from cortex_cdk.history.commit import read_commit
from cortex_cdk.history.record import ConfigFile
from cortex_cdk.project.archive import ProjectArchive, ProjectFiles, archive
from cortex_cdk.project.dependencies import Dependencies
from cortex_cdk.secrets.lookup import look_up
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.synthesis.specs import ApiStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize

# CloudFormation throttles accounts that change many stacks at once.
PARALLEL_STACKS = 4
# Each time somebody else's rule has become visible, so that the same number is not chosen again.
MOST_ATTEMPTS = 3
CHANGED_BY_DEFAULTS = Check("the scaling of what is deployed", changed_by_defaults)
IMAGE = "image"
"""What progress lines about building an image are about."""


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Attributes:
        force: Give up an operation that runs on a stack, rather than refuse.
        rebuild: Build images anew, though there are some for the same dependencies: for updates of what is not pinned.
        waits: Wait until every operation has ended, rather than leave once it has begun.
        message: Why, in the user's words, for the history.
    """

    force: bool = False
    rebuild: bool = False
    waits: bool = True
    message: str | None = None


class Deployer:
    """Deploys configurations to one cluster.

    Args:
        cloud: Where to.
        cluster: The cluster there.
        progress: Hears how it goes.
        options: How to deploy.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster, progress: Progress, options: Options) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._progress = progress
        self._options = options

    def deploy(self, config: Config, files: ProjectFiles, dependencies: Dependencies) -> list[Applied]:
        """Deploy everything that the configuration names. One API that fails does not stop the others.

        Args:
            config: The configuration.
            files: The project's files.
            dependencies: What the project installs.

        Returns:
            What became of each API, then of each splitter. A splitter with a member that failed is left as it is.

        Raises:
            PreflightError: Something is in the way; the error has all of it.
            CortexError: The project was not accepted, its image could not be built, or its templates not synthesized.
                As with ``PreflightError``, nothing that runs was changed.
        """
        with tempfile.TemporaryDirectory(prefix="cortex-") as folder:
            project = archive(files, Path(folder) / "project.zip")
            deployment, warnings = self._ready_to_plan(config, project, dependencies)
            occasion = functools.cache(partial(self._occasion, config))
            plans, applier = self._prepare(deployment, warnings, occasion, project.path)
        return self._deploy(deployment.wanted, plans, applier, occasion)

    def restore(self, wanted: Wanted, occasion: Occasion) -> Applied:
        """Deploy one API or splitter as it was deployed before: its archive and its image are there.

        Args:
            wanted: The API or splitter.
            occasion: What its record shall say.

        Returns:
            What became of it.

        Raises:
            PreflightError: Something is in the way; the error has all of it.
        """
        deployment = read_deployment(self._cloud, self._cluster, wanted)
        plans, applier = self._prepare(deployment, check(deployment), lambda: occasion)
        [applied] = self._deploy(wanted, plans, applier, lambda: occasion)
        return applied

    def _deploy(
        self, wanted: Wanted, plans: Sequence[StackPlan], applier: Applier, occasion: Callable[[], Occasion]
    ) -> list[Applied]:
        """Carry out the plans of the APIs, then deploy the splitters."""
        done = self._execute(wanted, plans, applier)
        failed = frozenset(applied.name for applied in done if applied.error)
        return done + self._deploy_splitters(wanted, failed, occasion)

    def _occasion(self, config: Config) -> Occasion:
        """What the records of a deployment from a folder have in common."""
        file = ConfigFile(config.path.name, config.path.read_bytes().decode(errors="replace"))
        return Occasion(message=self._options.message, commit=read_commit(config.project_root), file=file)

    def _prepare(
        self,
        deployment: Deployment,
        warnings: Sequence[Finding],
        occasion: Callable[[], Occasion],
        project: Path | None = None,
    ) -> tuple[list[StackPlan], Applier]:
        """Decide what to do with each API, say so, and bring what replicas need.

        Args:
            deployment: What is wanted, and what there is.
            warnings: What checks found that is not in the way.
            occasion: Tells what the records of a change have in common.
            project: The project's archive; None where it is in the bucket.
        """
        plans = deployment.plan_apis()
        self._warn(warnings, plans)
        self._explain_scaling(plans)
        recorder = self._recorder(plans, occasion)
        if recorder:
            if project:
                keys = [plan.parameters[names.Parameter.PROJECT_KEY] for plan in plans if plan.changes]
                assets.upload(self._cloud, project, self._cluster.resources.bucket, keys)
            self._prepare_keys(deployment)
        return plans, self._applier(plans, recorder, project)

    def _recorder(self, plans: Sequence[StackPlan], occasion: Callable[[], Occasion]) -> Recorder | None:
        """What keeps the records of plans; None where nothing is changed."""
        if not any(plan.changes for plan in plans):
            return None
        return Recorder(self._cloud, self._cluster, self._progress, occasion())

    def _ready_to_plan(
        self, config: Config, project: ProjectArchive, dependencies: Dependencies
    ) -> tuple[Deployment, tuple[Finding, ...]]:
        """Read and check until nothing is missing; build the images that are."""
        builder = images.Builder.of(self._cluster.resources)
        contexts = images.contexts(config.apis, dependencies)
        references = images.find(self._cloud, builder, contexts)
        own = own_images(self._cloud, config.apis)
        found = look_up(self._cloud, config.secret_references)
        chosen = images.of_apis(config.apis, own, references)
        wanted = Wanted(config, project.digest, chosen, self._options.force, found, self._options.waits)
        deployment = read_deployment(self._cloud, self._cluster, wanted)
        warnings = check(deployment)
        self._ask_about(project)
        rebuild = self._options.rebuild
        missing = {flavour: context for flavour, context in contexts.items() if rebuild or not references[flavour]}
        if not missing:
            return deployment, warnings
        cache = images.likely_to_share_layers(self._cloud, builder, deployment.deployed_images())
        for flavour, context in missing.items():
            self._progress.step(IMAGE, "preparing (once for these dependencies)")
            say = partial(self._progress.log, IMAGE)
            references[flavour] = images.build(self._cloud, builder, context, say, cache=cache, rebuild=rebuild)
            self._progress.step(IMAGE, "ready")
        self._remove_old_images()
        wanted = replace(wanted, images=images.of_apis(config.apis, own, references))
        deployment = read_deployment(self._cloud, self._cluster, wanted)
        return deployment, check(deployment)

    def _remove_old_images(self) -> None:
        """Make room where a new image came. That this may fail is no reason not to deploy."""
        from botocore.exceptions import ClientError

        try:
            removed = remove_old_images(self._cloud, self._cluster.resources)
        except ClientError as error:
            self._progress.step(IMAGE, f"warning: old images could not be removed: {error_message(error)}")
            return
        if removed:
            self._progress.step(IMAGE, f"{removed} old ones that nothing uses were removed")

    def _ask_about(self, project: ProjectArchive) -> None:
        for warning in project.warnings:
            if not self._progress.confirm("project", f"{warning}. Deploy it all the same?"):
                raise DeployError(
                    f"not deployed: {warning}", hint="list what is not needed in .cortexignore, or accept with --yes"
                )

    def _prepare_keys(self, deployment: Deployment) -> None:
        """See to it that there are keys to be read, and say so where nobody has one."""
        asking = [target.name for target in deployment.apis if target.resource.networking.auth.api_key]
        if asking and not ClusterKeys(self._cloud, self._cluster).ensure():
            hint = "make one with: cortex key create NAME"
            self._progress.step(asking[0], f"warning: requests need an API key, and there is none yet ({hint})")

    def _warn(self, warnings: Sequence[Finding], plans: Sequence[StackPlan]) -> None:
        """Show warnings, but none about an API that stays as it is."""
        staying = {plan.release.resource.name for plan in plans if not plan.changes}
        for finding in warnings:
            if finding.subject not in staying:
                self._progress.step(finding.subject, f"warning: {finding.message}")

    def _explain_scaling(self, plans: Sequence[StackPlan]) -> None:
        """Say what the autoscaling of each API means that gets a new template, and what defaults change of it."""
        updates = Updates(self._cloud, self._cluster.name, tuple(plans))
        for finding in run_checks((CHANGED_BY_DEFAULTS,), updates, f"cluster {self._cluster.name}"):
            self._progress.step(finding.subject, f"warning: {finding.message}")
        for plan in plans:
            spec = plan.release.spec
            if plan.changes and plan.synthesize and isinstance(spec, ApiStackSpec):
                for line in scaling_in_words(spec.api, spec.provider, is_billed=self._cluster.is_billed):
                    self._progress.step(spec.api.name, line)

    def _deploy_splitters(
        self, wanted: Wanted, failed: frozenset[str], occasion: Callable[[], Occasion]
    ) -> list[Applied]:
        """Deploy splitters. One that is refused neither stops the others nor hides what became of the APIs.

        Args:
            wanted: What is deployed.
            failed: The APIs that were to be deployed and were not: their splitters stay as they are.
            occasion: Tells what the records of a change have in common.
        """
        refused = [
            Applied.refused(self._cluster, splitter, error)
            for splitter in wanted.config.splitters
            if (error := member_failed(splitter, failed))
        ]
        if len(refused) == len(wanted.config.splitters):
            return refused
        deployment = read_deployment(self._cloud, self._cluster, wanted)
        endpoints = deployment.splitter_endpoints()
        plans = []
        for target in deployment.splitters:
            if any(target.name == applied.name for applied in refused):
                continue
            try:
                plans.append(self._plan_splitter(deployment, target, endpoints.priority(target.endpoint)))
            except DeployError as error:
                refused.append(Applied.refused(self._cluster, target.resource, name_holder(deployment, error)))
        return self._execute(wanted, plans, self._applier(plans, self._recorder(plans, occasion))) + refused

    def _plan_splitter(self, deployment: Deployment, target: Target, priority: int) -> StackPlan:
        if not isinstance(target.resource, TrafficSplitter):
            raise AssertionError(f"{target.name} is no traffic splitter")
        groups = deployment.target_groups()
        spec = splitter_spec(self._cloud, self._cluster.resources, target.resource, priority, groups)
        return plan_stack(Release(spec), target.deployed, force=self._options.force)

    def _applier(self, plans: Sequence[StackPlan], recorder: Recorder | None, project: Path | None = None) -> Applier:
        """What carries out plans, with the templates that they need, and with what they change of a project's files."""
        specs = tuple(plan.release.spec for plan in plans if plan.changes and plan.synthesize)
        templates = synthesize(SynthesisRequest(stacks=specs)) if specs else {}
        bucket = self._cluster.resources.bucket
        compared = [(plan, differences(self._cloud, bucket, plan, project)) for plan in plans] if recorder else []
        found = {plan.release.spec.stack_name: known for plan, known in compared if known}
        return Applier(
            self._cloud,
            self._cluster,
            self._progress,
            templates,
            found,
            force=self._options.force,
            waits=self._options.waits,
            recorder=recorder,
        )

    def _execute(self, wanted: Wanted, plans: Sequence[StackPlan], applier: Applier) -> list[Applied]:
        """Carry out plans; one whose priority another deployment took meanwhile, with another priority."""
        done = _in_parallel(applier, plans)
        for _ in range(MOST_ATTEMPTS - 1):
            lost = [index for index, applied in enumerate(done) if isinstance(applied.error, PriorityTakenError)]
            if not lost:
                break
            deployment = read_deployment(self._cloud, self._cluster, wanted)
            again: dict[int, StackPlan] = {}
            for index in lost:
                try:
                    again[index] = self._with_another_priority(deployment, plans[index])
                except DeployError as error:
                    done[index] = replace(done[index], error=name_holder(deployment, error))
            second = self._applier(list(again.values()), applier.recorder)
            for index, applied in zip(again, _in_parallel(second, list(again.values())), strict=True):
                done[index] = applied
        return done

    def _with_another_priority(self, deployment: Deployment, plan: StackPlan) -> StackPlan:
        """The same plan with a priority that is free now.

        Raises:
            DeployError: There is none, or it was the endpoint that the other deployment took.
        """
        name = plan.release.resource.name
        target = next(target for target in deployment.targets if target.name == name)
        endpoints = deployment.api_endpoints() if target in deployment.apis else deployment.splitter_endpoints()
        release = plan.release.with_priority(endpoints.priority(target.endpoint))
        self._progress.step(name, "another deployment took its priority in the listener: taking the next one")
        return plan_stack(release, target.deployed, desired=target.desired, force=self._options.force)


def _in_parallel(applier: Applier, plans: Sequence[StackPlan]) -> list[Applied]:
    if not plans:
        return []
    pool = ThreadPoolExecutor(PARALLEL_STACKS)
    try:
        return list(pool.map(applier.apply, plans))
    finally:
        # An interrupt must not wait for deployments, which go on by themselves.
        pool.shutdown(wait=False, cancel_futures=True)
