"""Reads what a deployment has to know: what is wanted, and what the cluster has now.

The checks (``preflight``) and the plan look at the same reading, and ask for nothing that it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cortex_serving.contract import REALTIME_API

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_services
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Config, RealtimeApi, TrafficSplitter
from cortex_cdk.config.sections.secret_reference import SecretReference
from cortex_cdk.deploy.listener_rules import Allocation, Rule, allocate, read_rules
from cortex_cdk.deploy.plan import Release, StackPlan, plan_stack
from cortex_cdk.deploy.splitters import target_groups
from cortex_cdk.secrets.lookup import Found
from cortex_cdk.stack_operations.recovery import with_planned_outputs
from cortex_cdk.stack_operations.stack import StackState, list_stacks
from cortex_cdk.synthesis.specs import ApiStackSpec, ClusterResources


@dataclass(frozen=True)
class Wanted:
    """What the user wants to have deployed.

    Attributes:
        config: The configuration.
        project_digest: SHA-256 of the project archive.
        images: Reference of each API's image, by name; None where it has to be built first, or, if it is the user's
            own one, does not exist.
        force: Whether operations that run on the stacks are given up.
        secrets: What was found of the secrets that the configuration names.
        waits: Whether the operations are waited for.
    """

    config: Config
    project_digest: str
    images: Mapping[str, str | None]
    force: bool = False
    secrets: Mapping[SecretReference, Found] = field(default_factory=dict)
    waits: bool = True

    def spec(self, cluster: ClusterResources, api: RealtimeApi, priority: int) -> ApiStackSpec:
        """Make the specification of an API's stack.

        Args:
            cluster: The cluster's resources.
            api: The API.
            priority: Priority of its listener rule.
        """
        references = api.predictor.secret_references.values()
        named = [reference for reference in references if not reference.is_arn and not reference.is_parameter]
        known = {reference.name: self.secrets[reference].arn for reference in named if reference in self.secrets}
        arns = {name: arn for name, arn in known.items() if arn}
        return ApiStackSpec(cluster=cluster, api=api, priority=priority, secret_arns=arns)


@dataclass(frozen=True)
class Target:
    """One API or traffic splitter of the configuration, and what there is of it now.

    Attributes:
        resource: As the configuration has it.
        stack_name: The name of its stack.
        stack: The stack; None where there is none.
        planned: The stack with the outputs that the operation that runs, or that failed, wanted to give it; the same as
            ``stack`` where no operation runs and none was left half done.
        desired: How many replicas its service wants; None where it has no service.
        force: Whether an operation that runs on the stack is given up, rather than respected.
    """

    resource: RealtimeApi | TrafficSplitter
    stack_name: str
    stack: StackState | None
    planned: StackState | None
    desired: int | None = None
    force: bool = False

    @property
    def name(self) -> str:
        """The name of the API or splitter."""
        return self.resource.name

    @property
    def endpoint(self) -> str:
        """The endpoint that is wanted, such as ``/iris``."""
        return self.resource.networking.endpoint

    @property
    def deployed(self) -> StackState | None:
        """The stack to compare with what is wanted: as a running operation, if that is respected, will leave it."""
        return self.planned if self.stack and self.stack.in_progress and not self.force else self.stack

    @property
    def priority(self) -> int | None:
        """The priority of its listener rule; None where it has none."""
        found = [priority for stack in (self.deployed, self.planned) for priority in _priorities(stack)]
        return found[0] if found else None

    @property
    def priorities(self) -> set[int]:
        """Every priority that a rule of its stack may have: while an operation runs there may be two rules."""
        return {priority for stack in (self.stack, self.planned) for priority in _priorities(stack)}


def _priorities(stack: StackState | None) -> list[int]:
    """The priority that a stack's outputs name, if they do."""
    priority = stack.outputs.get(names.Output.LISTENER_RULE_PRIORITY) if stack else None
    return [int(priority)] if priority else []


@dataclass(frozen=True)
class Deployment:
    """A deployment before it begins.

    Attributes:
        cloud: Where to deploy; checks may ask it.
        cluster: The cluster there.
        wanted: What is wanted.
        apis: The APIs of the configuration.
        splitters: Its traffic splitters.
        stacks: The stacks of all APIs and splitters of the cluster, by name.
        rules: The rules of the cluster's listener.
    """

    cloud: Cloud
    cluster: RunningCluster
    wanted: Wanted
    apis: tuple[Target, ...]
    splitters: tuple[Target, ...]
    stacks: Mapping[str, StackState]
    rules: tuple[Rule, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """All APIs and splitters of the configuration."""
        return self.apis + self.splitters

    def api_endpoints(self) -> Allocation:
        """Choose the priorities of the APIs' rules. APIs of one file may exchange their endpoints."""
        return _allocate(self.apis, self.rules)

    def splitter_endpoints(self) -> Allocation:
        """Choose the priorities of the splitters' rules, as they can be once the APIs' rules are what is wanted."""
        return _allocate(self.splitters, self.api_endpoints().rules)

    def plan_apis(self, *, unbuilt: str | None = None) -> list[StackPlan]:
        """Decide what to do with each API.

        Args:
            unbuilt: Stands for an image that has to be built first; None where all images are there.

        Raises:
            DeployError: There is no priority left for an endpoint, or a stack is being changed into something else.
        """
        endpoints, wanted, plans = self.api_endpoints(), self.wanted, []
        for target in self.apis:
            image = wanted.images[target.name] or unbuilt
            if image is None:
                raise AssertionError("images are built before anything is planned")
            if isinstance(target.resource, RealtimeApi):
                spec = wanted.spec(self.cluster.resources, target.resource, endpoints.priority(target.endpoint))
                release = Release(spec, wanted.project_digest, image)
                plans.append(plan_stack(release, target.deployed, desired=target.desired, force=wanted.force))
        return plans

    def holder_of(self, rule: Rule) -> tuple[str, str] | None:
        """Who has a rule: "the API" or "the traffic splitter", and its name; None if no stack of the cluster has it."""
        for stack in self.stacks.values():
            holder = names.resource_of(self.cluster.name, stack.name)
            if holder and stack.outputs.get(names.Output.LISTENER_RULE_PRIORITY) == str(rule.priority):
                return "the API" if holder.kind == REALTIME_API else "the traffic splitter", holder.name
        return None

    def deployed_images(self) -> set[str]:
        """The references of the images that the configuration's APIs run on now."""
        stacks = [target.stack for target in self.apis if target.stack]
        return {stack.parameters.get(names.Parameter.IMAGE, "") for stack in stacks}

    def target_groups(self) -> dict[str, str]:
        """The ARNs of the target groups of the APIs that are deployed, by the API's name."""
        return target_groups(self.cluster.name, self.stacks.values())


def read_deployment(cloud: Cloud, cluster: RunningCluster, wanted: Wanted) -> Deployment:
    """Read what the cluster has of the APIs and splitters that are wanted.

    Costs one call for each page of the account's stacks and of the listener's rules, one for ten APIs, and one for each
    stack on which an operation runs or was left half done.
    """
    listed = list_stacks(cloud, names.api_stack(cluster.name, ""), names.splitter_stack(cluster.name, ""))
    stacks = {stack.name: stack for stack in listed}
    services = describe_services(cloud, cluster.name, [api.name for api in wanted.config.apis])

    def target(resource: RealtimeApi | TrafficSplitter, stack_name: str) -> Target:
        stack, service = stacks.get(stack_name), services.get(resource.name)
        planned = with_planned_outputs(cloud, stack) if stack and _is_unfinished(stack) else stack
        desired = service["desiredCount"] if service else None
        return Target(resource, stack_name, stack, planned, desired, wanted.force)

    return Deployment(
        cloud=cloud,
        cluster=cluster,
        wanted=wanted,
        apis=tuple(target(api, names.api_stack(cluster.name, api.name)) for api in wanted.config.apis),
        splitters=tuple(target(one, names.splitter_stack(cluster.name, one.name)) for one in wanted.config.splitters),
        stacks=stacks,
        rules=tuple(read_rules(cloud, cluster.resources.listener_arn)),
    )


def _is_unfinished(stack: StackState) -> bool:
    """Whether an operation runs, or was left half done: its resources may be others than its outputs say."""
    return stack.in_progress or stack.status.endswith("_FAILED")


def _allocate(targets: Sequence[Target], rules: Sequence[Rule]) -> Allocation:
    own = {priority for target in targets for priority in target.priorities}
    return allocate({target.endpoint: target.priority for target in targets}, rules, own=own)
