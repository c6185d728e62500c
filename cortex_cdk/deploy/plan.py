"""Decides what a deployment of one stack would do. Pure: it reads nothing and changes nothing.

The template's parameters carry what changes most often (code, image, revision), so a change of code alone keeps the
deployed template and needs no synthesis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cortex_cdk import names
from cortex_cdk.config import RealtimeApi, TrafficSplitter
from cortex_cdk.deploy.initial_replicas import initial_replicas
from cortex_cdk.stack_operations.recovery import Recovery, busy, recovery_for
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.synthesis.specs import ApiStackSpec, SplitterStackSpec

CREATE, UPDATE, JOIN, NOTHING = "create", "update", "join", "nothing"


@dataclass(frozen=True)
class Release:
    """One version of an API or traffic splitter that shall be deployed, whatever is deployed now.

    Attributes:
        spec: What its template is made from.
        project_digest: SHA-256 of the project archive (empty for a splitter).
        image: Reference of the image (empty for a splitter).
    """

    spec: ApiStackSpec | SplitterStackSpec
    project_digest: str = ""
    image: str = ""

    @property
    def resource(self) -> RealtimeApi | TrafficSplitter:
        """The API or splitter, as the configuration has it."""
        return self.spec.resource

    @property
    def revision(self) -> str:
        """The revision that serves once this is deployed (empty for a splitter)."""
        if isinstance(self.spec, ApiStackSpec):
            return revision_of(self.spec.api, self.project_digest, self.image)
        return ""

    def has_template_of(self, stack: StackState) -> bool:
        """Whether a stack's template is what ``spec`` gives."""
        return stack.outputs.get(names.Output.SPEC_DIGEST) == self.spec.digest

    def is_deployed_as(self, stack: StackState) -> bool:
        """Whether a stack is what is wanted."""
        return self.has_template_of(stack) and stack.parameters.get(names.Parameter.REVISION, "") == self.revision

    def with_priority(self, priority: int) -> Release:
        """The same with another priority of the listener rule."""
        return replace(self, spec=self.spec.model_copy(update={"priority": priority}))


@dataclass(frozen=True)
class StackPlan:
    """What to do with the stack of one API or splitter.

    Attributes:
        release: What shall be deployed.
        action: ``create``, ``update``, ``join`` (wait for a deployment of the same that runs already) or ``nothing``.
            With a ``recovery`` it is what is expected: what the recovery leaves is planned with once more.
        synthesize: Whether the deployed template does not do.
        parameters: The template's parameters.
        stack: The stack that was planned with.
        recovery: What has to happen to that stack first; None where it can be changed as it is.
    """

    release: Release
    action: str
    synthesize: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    stack: StackState | None = None
    recovery: Recovery | None = None

    @property
    def knows_initial_replicas(self) -> bool:
        """Whether the stack still has the number of its first replicas, which an update that fails would bring back."""
        return bool(self.stack and self.stack.parameters.get(names.Parameter.INITIAL_REPLICAS))

    @property
    def replaces_replicas(self) -> bool:
        """Whether the API gets a new revision, so that its replicas are replaced."""
        known = self.stack.parameters.get(names.Parameter.REVISION, "") if self.stack else ""
        return known != self.release.revision

    @property
    def changes(self) -> bool:
        """Whether the stack is changed."""
        return self.action in (CREATE, UPDATE)


def plan_stack(
    release: Release, stack: StackState | None, *, desired: int | None = None, force: bool = False
) -> StackPlan:
    """Compare what is wanted of an API or splitter with what is deployed.

    Args:
        release: What is wanted.
        stack: Its stack; one that is being changed as it will be (``Target.planned``). None where there is none.
        desired: How many replicas the API's service wants now, or None where it has none.
        force: Whether an operation that runs on the stack is given up.

    Raises:
        DeployError: The stack is being changed into something else, and that is not given up.
    """
    recovery = recovery_for(stack) if stack else None
    if stack and stack.in_progress and not force:
        if not release.is_deployed_as(stack):
            raise busy(stack)
        return StackPlan(release, JOIN, synthesize=False, stack=stack)
    kept = None if recovery and recovery.leaves_nothing else stack
    plan = StackPlan(release, CREATE if kept is None else UPDATE, synthesize=True, stack=stack, recovery=recovery)
    # What a recovery leaves is not known before: the template is made ready in any case.
    if kept and recovery is None:
        same = release.is_deployed_as(kept)
        plan = replace(plan, action=NOTHING if same else UPDATE, synthesize=not release.has_template_of(kept))
    if isinstance(release.spec, ApiStackSpec):
        plan = replace(plan, parameters=_parameters(release, release.spec.api, kept, desired if kept else None))
    return plan


def replica_count(api: RealtimeApi, desired: int | None) -> int:
    """How many replicas an API has once it is deployed.

    Args:
        api: The API as it is wanted.
        desired: How many its service wants now, or None where it has none.
    """
    scaling = api.autoscaling
    initial = scaling.init_replicas if desired is None else desired
    return min(max(initial, scaling.min_replicas), scaling.max_replicas)


def _parameters(release: Release, api: RealtimeApi, deployed: StackState | None, desired: int | None) -> dict[str, str]:
    # CloudFormation changes the service before its scaling: replicas are replaced while there are as many as now.
    percentages = api.update_strategy.percentages(replica_count(api, desired) if desired is None else desired)
    known = deployed.parameters if deployed else {}
    endpoint, same_replicas = api.networking.endpoint, known.get(names.Parameter.REVISION) == release.revision
    parameter = names.Parameter
    return {
        parameter.PROJECT_KEY: names.project_key(api.name, release.project_digest),
        parameter.IMAGE: release.image,
        parameter.REVISION: release.revision,
        # Replicas tell requests of splitters from others by it. A new one restarts none: they know it from the next
        # revision on.
        parameter.REPLICA_ENDPOINT: known.get(parameter.REPLICA_ENDPOINT, endpoint) if same_replicas else endpoint,
        # An update leaves the number of replicas to the autoscaler.
        parameter.INITIAL_REPLICAS: "" if deployed else initial_replicas(api.autoscaling.init_replicas),
        parameter.MINIMUM_HEALTHY_PERCENT: str(percentages.minimum_healthy),
        parameter.MAXIMUM_PERCENT: str(percentages.maximum),
    }


def revision_of(api: RealtimeApi, project_digest: str, image: str) -> str:
    """Name one version of an API: the same if and only if its replicas would be the same.

    Args:
        api: The API.
        project_digest: SHA-256 of the project archive.
        image: Reference of the image.

    Returns:
        12 hexadecimal digits.
    """
    reaches_replicas: dict[str, Any] = {
        # Permissions are those of a role, which may change below the replicas.
        "predictor": api.predictor.model_dump(mode="json", exclude={"iam_policies"}),
        "monitoring": api.monitoring.model_dump(mode="json") if api.monitoring else None,
        "compute": api.compute.model_dump(mode="json"),
        "max_replica_concurrency": api.autoscaling.max_replica_concurrency,
        "project": project_digest,
        "image": image,
        **api.networking.served,
    }
    # In the user's order: predictors may give the order of their config a meaning.
    return hashlib.sha256(json.dumps(reaches_replicas).encode()).hexdigest()[:12]
