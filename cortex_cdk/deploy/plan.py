"""Decides what a deployment of one stack would do. Pure: it reads nothing and changes nothing.

The template's parameters carry what changes most often (code, image, revision), so a change of code alone
keeps the deployed template and needs no synthesis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cdk import names
from cortex_cdk.config import RealtimeApi
from cortex_cdk.deploy.initial_replicas import PARAMETER as INITIAL_REPLICAS
from cortex_cdk.deploy.initial_replicas import initial_replicas
from cortex_cdk.stack_operations.recovery import busy
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.synthesis.specs import ApiStackSpec, SplitterStackSpec

CREATE, UPDATE, JOIN, NOTHING = "create", "update", "join", "nothing"


@dataclass(frozen=True)
class StackPlan:
    """What to do with the stack of one API or splitter.

    Attributes:
        spec: What its template is made from.
        action: ``create``, ``update``, ``join`` (wait for a deployment of the same that runs already) or ``nothing``.
        synthesize: Whether the deployed template does not do.
        revision: The revision that would serve afterwards (empty for a splitter).
        parameters: The template's parameters.
        replicas: How many replicas the API has when the plan is carried out (0 for a splitter).
        knows_initial_replicas: Whether the deployed stack still has the number of its first replicas, which an update
            that fails would bring back.
    """

    spec: ApiStackSpec | SplitterStackSpec
    action: str
    synthesize: bool
    revision: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 0
    knows_initial_replicas: bool = False

    @property
    def changes(self) -> bool:
        """Whether it changes the stack."""
        return self.action in (CREATE, UPDATE)


def revision_of(api: RealtimeApi, project_digest: str, image: str) -> str:
    """The name of one version of an API: the same if and only if its replicas would be the same.

    Args:
        project_digest: SHA-256 of the project archive.
        image: Reference of the image.

    Returns:
        12 hexadecimal digits.
    """
    reaches_replicas: dict[str, Any] = {
        "predictor": api.predictor.model_dump(mode="json"),
        "monitoring": api.monitoring.model_dump(mode="json") if api.monitoring else None,
        "compute": api.compute.model_dump(mode="json"),
        "max_replica_concurrency": api.autoscaling.max_replica_concurrency,
        "project": project_digest,
        "image": image,
    }
    # In the user's order: predictors may give the order of their config a meaning.
    return hashlib.sha256(json.dumps(reaches_replicas).encode()).hexdigest()[:12]


def plan_api(
    spec: ApiStackSpec, *, project_digest: str, image: str, deployed: StackState | None, desired: int | None
) -> StackPlan:
    """Compare what is wanted of an API with what is deployed.

    Args:
        spec: What the API's template is made from.
        project_digest: SHA-256 of the project archive.
        image: Reference of the image.
        deployed: The API's stack, perhaps as it will be (``recovery.underway``), or None where it has none that works.
        desired: How many replicas the service wants now, or None where there is no service.

    Raises:
        DeployError: The stack is being changed into something else.
    """
    scaling = spec.api.autoscaling
    initial = scaling.init_replicas if desired is None else desired
    count = min(max(initial, scaling.min_replicas), scaling.max_replicas)
    # CloudFormation changes the service before its scaling: replicas are replaced while there are as many as now.
    percentages = spec.api.update_strategy.percentages(count if desired is None else desired)
    revision = revision_of(spec.api, project_digest, image)
    known = deployed.parameters if deployed is not None else {}
    same_replicas = known.get("Revision") == revision
    endpoint = spec.api.networking.endpoint
    parameters = {
        "ProjectKey": names.project_key(project_digest),
        "Image": image,
        "Revision": revision,
        # Replicas describe their API by it, and tell requests of splitters from others. A new one restarts none:
        # they know it from the next revision on.
        "ReplicaEndpoint": known.get("ReplicaEndpoint", endpoint) if same_replicas else endpoint,
        # An update leaves the number of replicas to the autoscaler.
        INITIAL_REPLICAS: "" if deployed else initial_replicas(scaling.init_replicas),
        "MinimumHealthyPercent": str(percentages.minimum_healthy),
        "MaximumPercent": str(percentages.maximum),
    }
    return StackPlan(
        spec=spec,
        action=_action(deployed, same_template(spec, deployed) and same_replicas),
        synthesize=not same_template(spec, deployed),
        revision=revision,
        parameters=parameters,
        replicas=count,
        knows_initial_replicas=bool(known.get(INITIAL_REPLICAS)),
    )


def plan_splitter(spec: SplitterStackSpec, deployed: StackState | None) -> StackPlan:
    """Compare what is wanted of a splitter with what is deployed (None where nothing is); as ``plan_api``."""
    same = same_template(spec, deployed)
    return StackPlan(spec=spec, action=_action(deployed, same), synthesize=not same)


def same_template(spec: ApiStackSpec | SplitterStackSpec, deployed: StackState | None) -> bool:
    """Whether the deployed template is what ``spec`` would give."""
    return deployed is not None and deployed.outputs.get("SpecDigest") == spec.digest


def is_deployed(plan: StackPlan, stack: StackState) -> bool:
    """Whether a stack is what a plan wanted."""
    return same_template(plan.spec, stack) and stack.parameters.get("Revision", "") == plan.revision


def _action(deployed: StackState | None, unchanged: bool) -> str:
    if deployed is None:
        return CREATE
    if deployed.in_progress:
        if not unchanged:
            raise busy(deployed)
        return JOIN
    return NOTHING if unchanged else UPDATE
