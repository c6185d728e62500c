"""Applies a lower number of replicas before new code, where both are deployed together.

CloudFormation changes a service before its scaling, and waits until as many replicas of the new revision run as were
wanted before. Replicas that have no room then keep out the change that would ask for fewer. So the bounds of the
deployed template are lowered first, and all else follows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.scalable_targets import Bounds
from cortex_cdk.config.sections.autoscaling import Autoscaling

SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"


def fewer_replicas(scaling: Autoscaling, deployed: Bounds, *, desired: int, running: int) -> int | None:
    """Decide whether an API is to have fewer replicas before anything else about it changes. Pure.

    Args:
        scaling: As it is wanted.
        deployed: The bounds that are deployed.
        desired: How many replicas the service wants now.
        running: How many of these run.

    Returns:
        How many to ask for; None where the number stays, or rises.
    """
    count = min(desired, scaling.max_replicas)
    if running < count and desired <= deployed.least and scaling.min_replicas < deployed.least:
        # Nothing but the old minimum asks for those that have no room.
        count = max(running, scaling.min_replicas)
    return count if count < desired else None


def deployed_bounds(template: Mapping[str, Any]) -> Bounds | None:
    """Read the bounds in the template of an API's stack; None where it has none."""
    for resource in template.get("Resources", {}).values():
        if resource["Type"] == SCALABLE_TARGET:
            properties = resource["Properties"]
            return Bounds(int(properties["MinCapacity"]), int(properties["MaxCapacity"]))
    return None


def with_bounds(template: Mapping[str, Any], scaling: Autoscaling) -> dict[str, Any]:
    """Copy the template of an API's stack with other bounds, and with no digest: no specification gives that template.

    Args:
        template: The deployed template.
        scaling: Has the bounds.
    """
    changed = copy.deepcopy(dict(template))
    for resource in changed["Resources"].values():
        if resource["Type"] == SCALABLE_TARGET:
            resource["Properties"].update(MinCapacity=scaling.min_replicas, MaxCapacity=scaling.max_replicas)
    changed["Outputs"][names.Output.SPEC_DIGEST]["Value"] = "none"
    return changed
