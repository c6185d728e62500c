"""Carries out the plan for one stack, and puts what became of it into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from cortex_cdk import log_groups, names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import RealtimeApi, TrafficSplitter
from cortex_cdk.deploy.differences import Differences
from cortex_cdk.deploy.failures import failure, interruption
from cortex_cdk.deploy.fewer_replicas import deployed_bounds, fewer_replicas, with_bounds
from cortex_cdk.deploy.initial_replicas import forget_initial_replicas
from cortex_cdk.deploy.lost_minimum import put_back_minimum
from cortex_cdk.deploy.plan import CREATE, JOIN, NOTHING, UPDATE, StackPlan, plan_stack
from cortex_cdk.deploy.recording import Recorder
from cortex_cdk.environment import explain
from cortex_cdk.errors import CortexError, DeployError
from cortex_cdk.history.record import DEPLOYED, FAILED, INTERRUPTED, Record
from cortex_cdk.replicas.desired_count import read_desired_count
from cortex_cdk.replicas.rollout import RolloutWatcher
from cortex_cdk.stack_operations.change_set import Change, ChangeSet, create_change_set, discard, execute
from cortex_cdk.stack_operations.events import EventReader
from cortex_cdk.stack_operations.operation import Outcome, next_operation, run, watch
from cortex_cdk.stack_operations.preview import read_template
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.recovery import recover
from cortex_cdk.stack_operations.stack import StackState, read_stack
from cortex_cdk.synthesis.deployed_configuration import store_configuration
from cortex_cdk.synthesis.specs import ApiStackSpec

# Making one of these anew interrupts the API's traffic.
CARRY_TRAFFIC = frozenset({"AWS::ECS::Service", "AWS::ElasticLoadBalancingV2::TargetGroup"})
JOINING = "the same is being deployed already"
_WORDS = {
    CREATE: ("creating", "created"),
    UPDATE: ("updating", "updated"),
    JOIN: (JOINING, "deployed"),
}


@dataclass(frozen=True)
class Applied:
    """What became of one API or splitter.

    Attributes:
        name: Its name.
        kind: ``RealtimeAPI`` or ``TrafficSplitter``.
        endpoint: Its URL.
        revision: The revision that was wanted (empty for a splitter).
        message: What to tell the user, such as ``iris (RealtimeAPI) is up to date``.
        changed: Whether anything was changed.
        in_progress: Whether it goes on by itself, because nobody waits for its end.
        error: Why it failed, or None.
        differences: What the update changes in the user's files; None where nothing was to be compared.
        number: The number of the deployment in the history; None where nothing was changed.
    """

    name: str
    kind: str
    endpoint: str
    revision: str
    message: str
    changed: bool
    in_progress: bool = False
    error: CortexError | None = None
    differences: Differences | None = None
    number: int | None = None

    def __repr__(self) -> str:
        version = f" as v{self.number}" if self.number else ""
        return f"<{self.error.message if self.error else f'{self.message}{version} at {self.endpoint}'}>"

    @classmethod
    def refused(cls, cluster: RunningCluster, resource: RealtimeApi | TrafficSplitter, error: CortexError) -> Applied:
        """Say that an API or splitter was left as it was."""
        return cls(
            name=resource.name,
            kind=resource.kind,
            endpoint=cluster.url + resource.networking.endpoint,
            revision="",
            message=f"{resource.name} ({resource.kind}) was not deployed",
            changed=False,
            error=error,
        )


class Applier:
    """Carries out plans, several at a time if called from several threads.

    Args:
        cloud: Where the stacks are.
        cluster: The cluster there.
        progress: Hears how it goes.
        templates: By stack name, for the plans that may need a new one.
        differences: By stack name, what the plans change in the user's files, where that is known.
        force: Whether operations that run on the stacks are given up.
        waits: Whether to wait until an operation has ended, rather than leave once it has begun.
        recorder: Keeps what becomes of each API and splitter; None keeps nothing.

    Attributes:
        recorder: The same.
    """

    def __init__(
        self,
        cloud: Cloud,
        cluster: RunningCluster,
        progress: Progress,
        templates: Mapping[str, Mapping[str, Any]],
        differences: Mapping[str, Differences] = MappingProxyType({}),
        *,
        force: bool,
        waits: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._progress = progress
        self.recorder = recorder
        self._numbers: dict[str, int] = {}
        self._templates = templates
        self._differences = differences
        self._force = force
        self._waits = waits
        self._role = cluster.resources.cloudformation_role

    def apply(self, plan: StackPlan) -> Applied:
        """Carry out a plan.

        A failure is returned, not raised: what one API meets must not stop, or hide, what becomes of the others.
        """
        resource = plan.release.resource
        title = f"{resource.name} ({resource.kind})"
        error: CortexError | None = None
        changed, message = False, f"{title} is up to date"
        try:
            plan = self._recovered(plan)
            if plan.action != NOTHING:
                changed = self._join(plan) if plan.action == JOIN else self._change(plan)
            self._put_back_minimum(plan)
            if changed:
                words = _WORDS[plan.action]
                message = f"{words[1]} {title}" if self._waits else f"{title}: {words[0]}"
        except Exception as failure:
            # What one API meets must not hide what became of the others.
            error = _in_words(failure, self._cluster.environment)
            message = f"{title} was not {_WORDS[plan.action][1]}"
        return Applied(
            name=resource.name,
            kind=resource.kind,
            endpoint=self._cluster.url + resource.networking.endpoint,
            revision=plan.release.revision,
            message=message,
            changed=changed,
            in_progress=changed and not self._waits,
            error=error,
            differences=self._differences.get(plan.release.spec.stack_name),
            number=self._numbers.get(resource.name),
        )

    def _announce(self, plan: StackPlan) -> None:
        """Say what begins, and what it changes of the user's files."""
        name = plan.release.resource.name
        self._progress.step(name, f"{JOINING}: waiting for that" if plan.action == JOIN else _WORDS[plan.action][0])
        known = self._differences.get(plan.release.spec.stack_name)
        for line in known.lines() if known else ():
            self._progress.step(name, line)

    def _recovered(self, plan: StackPlan) -> StackPlan:
        """Bring the plan's stack into a state from which it can go on, and plan with what that leaves."""
        if plan.recovery is None or plan.stack is None:
            return plan
        name = plan.release.resource.name
        left = recover(self._cloud, plan.stack, partial(self._progress.step, name), force=self._force, role=self._role)
        service = describe_service(self._cloud, self._cluster.name, name) if left else None
        return plan_stack(plan.release, left, desired=service["desiredCount"] if service else None)

    def _with_fewer_replicas(self, plan: StackPlan) -> StackPlan:
        """Lower the number of replicas first where the plan asks for fewer, and plan with what that leaves."""
        spec = plan.release.spec
        if plan.action != UPDATE or not plan.synthesize or not isinstance(spec, ApiStackSpec):
            return plan
        name, scaling = spec.api.name, spec.api.autoscaling
        service = describe_service(self._cloud, self._cluster.name, name)
        if plan.stack is None or service is None:
            return plan
        if service["runningCount"] >= service["desiredCount"] and not plan.replaces_replicas:
            return plan
        template = read_template(self._cloud, spec.stack_name)
        bounds = deployed_bounds(template)
        if bounds is None:
            return plan
        count = fewer_replicas(scaling, bounds, desired=service["desiredCount"], running=service["runningCount"])
        if count is None:
            return plan
        self._progress.step(name, f"asking for {count} instead of {service['desiredCount']} replicas first")
        desired = read_desired_count(self._cloud, service)
        # Before: CloudFormation may wait for as many as are desired. After: the old minimum may have brought them back.
        desired.lower(self._cloud, count)
        try:
            self._change_bounds(plan.stack, name, with_bounds(template, scaling))
        except Exception:
            desired.restore(self._cloud)
            raise
        self._cloud.ecs.update_service(cluster=desired.cluster, service=desired.service, desiredCount=count)
        return plan_stack(plan.release, read_stack(self._cloud, spec.stack_name), desired=count)

    def _change_bounds(self, stack: StackState, name: str, template: Mapping[str, Any]) -> None:
        parameters = {**stack.parameters, names.Parameter.INITIAL_REPLICAS: ""}
        change_set = create_change_set(
            self._cloud,
            stack.name,
            template=template,
            parameters=parameters,
            tags=stack.tags,
            creates=False,
            role=self._role,
        )
        outcome = run(self._cloud, change_set, name, self._progress) if change_set else None
        if outcome and not outcome.succeeded:
            raise failure(name, outcome)

    def _change(self, plan: StackPlan) -> bool:
        plan = self._with_fewer_replicas(plan)
        name, stack_name = plan.release.resource.name, plan.release.spec.stack_name
        if plan.action == UPDATE and plan.knows_initial_replicas:
            forget_initial_replicas(self._cloud, stack_name, self._role)
        if plan.synthesize:
            store_configuration(self._cloud, self._cluster.resources.bucket, plan.release.spec)
        if plan.action == CREATE:
            # What an attempt before has left would be in the way of the stack's own.
            log_groups.remove(self._cloud, self._cluster.name, name)
        change_set = create_change_set(
            self._cloud,
            stack_name,
            template=self._templates[stack_name] if plan.synthesize else None,
            parameters=plan.parameters,
            tags=self._cluster.tags_of(name),
            creates=plan.action == CREATE,
            role=self._role,
        )
        if change_set is None:
            return False
        # None where the template is the same, made from something else: by another version, or for a cluster made anew.
        touches = bool(change_set.changes)
        if touches:
            self._announce(plan)
            self._progress.changes(name, change_set.changes)
        self._ask_about(change_set, name)
        self._execute(plan, change_set, self._begin_record(plan, change_set) if touches else None)
        if self._waits and plan.action == CREATE and isinstance(plan.release.spec, ApiStackSpec):
            self._forget_initial_replicas(name, stack_name)
        return touches

    def _execute(self, plan: StackPlan, change_set: ChangeSet, record: Record | None) -> None:
        """Execute a change set, wait for the end, and write how it ended. Whoever presses Ctrl-C leaves that open."""
        interrupted = False
        try:
            if not self._waits:
                # The stack says how it ends.
                execute(self._cloud, change_set)
                return
            name = plan.release.resource.name
            outcome = run(self._cloud, change_set, name, self._progress, watcher=self._watcher(plan))
            interrupted = outcome.interrupted
            self._require_success(plan, outcome, change_set.stack_id)
        except DeployError as error:
            self._end_record(record, INTERRUPTED if interrupted else FAILED, error.message)
            raise
        self._end_record(record, DEPLOYED)

    def _begin_record(self, plan: StackPlan, change_set: ChangeSet) -> Record | None:
        if self.recorder is None:
            return None
        known = self._differences.get(plan.release.spec.stack_name)
        try:
            record = self.recorder.begin(plan, tuple(known.changes()) if known else ())
        except Exception:
            # Where the bucket cannot be written, nothing that runs is changed.
            discard(self._cloud, change_set)
            raise
        if record:
            self._numbers[plan.release.resource.name] = record.number
        return record

    def _end_record(self, record: Record | None, outcome: str, reason: str | None = None) -> None:
        if self.recorder and record:
            self.recorder.end(record, outcome, reason and reason.removeprefix(f"{record.api}: "))

    def _forget_initial_replicas(self, name: str, stack_name: str) -> None:
        """The API is there: what fails now is told, and tried again before its next change."""
        try:
            forget_initial_replicas(self._cloud, stack_name, self._role)
        except DeployError as error:
            self._progress.step(name, f"warning: {error.message}")

    def _join(self, plan: StackPlan) -> bool:
        """Wait for a deployment of the same that runs already: of a terminal that was closed, or of somebody else."""
        name = plan.release.resource.name
        if not self._waits:
            return True
        self._announce(plan)
        # By its id: a stack that is deleted meanwhile, and made anew, is another deployment.
        stack_id = plan.stack.id if plan.stack else plan.release.spec.stack_name
        events = EventReader(self._cloud, stack_id)
        watcher = self._watcher(plan)
        outcome = watch(self._cloud, stack_id, events, name, progress=self._progress, watcher=watcher)
        self._require_success(plan, outcome, stack_id)
        if outcome.stack is None or not plan.release.is_deployed_as(outcome.stack):
            raise DeployError(
                f"{name}: another deployment was quicker", hint="look at it with cortex get, then deploy again"
            )
        return True

    def _require_success(self, plan: StackPlan, outcome: Outcome, stack_id: str) -> None:
        """Raise what became of a deployment whose revision does not serve: it failed, or others gave it up."""
        if outcome.succeeded:
            return
        name, spec = plan.release.resource.name, plan.release.spec
        if outcome.interrupted:
            raise interruption(name, outcome, next_operation(self._cloud, spec.stack_name, stack_id, outcome.status))
        error = failure(name, outcome)
        if outcome.stack is None and isinstance(spec, ApiStackSpec):
            reason = error.message.removeprefix(f"{name}: ")
            log_groups.note_failure(self._cloud, self._cluster.name, name, plan.release.revision, reason)
        raise error

    def _put_back_minimum(self, plan: StackPlan) -> None:
        if self._waits and isinstance(plan.release.spec, ApiStackSpec):
            api = plan.release.spec.api
            if done := put_back_minimum(self._cloud, self._cluster.name, api):
                self._progress.step(api.name, done)

    def _watcher(self, plan: StackPlan) -> RolloutWatcher | None:
        if not isinstance(plan.release.spec, ApiStackSpec):
            return None
        name = plan.release.resource.name
        # While an operation runs, the parameters of a stack are those of that operation.
        replaced = plan.stack if plan.action == UPDATE else None
        return RolloutWatcher(
            self._cloud,
            self._cluster.name,
            name,
            plan.release.revision,
            before=replaced.parameters.get(names.Parameter.REVISION) if replaced else None,
            tell=partial(self._progress.rollout, name),
        )

    def _ask_about(self, change_set: ChangeSet, name: str) -> None:
        for change in change_set.changes:
            if interrupts(change) and not self._progress.confirm(
                name, f"the {change.what} is made anew, which interrupts the traffic. Go on?"
            ):
                discard(self._cloud, change_set)
                raise DeployError(f"{name}: not deployed", hint="accept the interruption with --yes")


def _in_words(error: Exception, environment: str) -> CortexError:
    known = error if isinstance(error, CortexError) else explain(error, environment)
    if known is None:
        raise error
    return known


def interrupts(change: Change) -> bool:
    """Whether a change takes away the service or the target group, which carry the traffic."""
    return change.resource_type in CARRY_TRAFFIC and (change.replacement or change.action == "Remove")
