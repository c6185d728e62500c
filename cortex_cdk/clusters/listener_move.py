"""Moves the rules of everything that is deployed to another listener of the cluster's load balancer.

With its first certificate a cluster gets a listener for HTTPS, and its endpoints become https. The stacks of APIs and
splitters name the listener literally: without the move they would go on answering on http alone.
"""

from __future__ import annotations

import json

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.errors import CortexError
from cortex_cdk.stack_operations.change_set import create_change_set
from cortex_cdk.stack_operations.operation import run
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, list_resource_stacks


def move_rules(
    cloud: Cloud, cluster: str, old: str, new: str, progress: Progress, *, role: str | None
) -> dict[str, str]:
    """Give every stack of the cluster that has a rule on one listener the same rule on another.

    Nothing else of these stacks changes, and the new rule is there before the old one goes. A first deployment that
    failed has none.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's name.
        old: ARN of the listener that has the rules.
        new: ARN of the listener that shall have them.
        progress: Hears of each API and splitter.
        role: ARN of the role that CloudFormation takes; None leaves that to the stacks.

    Returns:
        Why a move failed, by API or splitter; empty where all were moved.
    """
    failures = {}
    for resource, stack in list_resource_stacks(cloud, cluster):
        failure = None if stack.never_worked else _move(cloud, stack, resource.name, (old, new), progress, role=role)
        if failure:
            failures[resource.name] = failure
    return failures


def _move(
    cloud: Cloud,
    stack: StackState,
    name: str,
    listeners: tuple[str, str],
    progress: Progress,
    *,
    role: str | None,
) -> str | None:
    if stack.in_progress:
        return f"another operation runs ({stack.status})"
    template = json.dumps(cloud.cloudformation.get_template(StackName=stack.id)["TemplateBody"])
    old, new = (json.dumps(listener)[1:-1] for listener in listeners)
    if old not in template:
        return None
    progress.step(name, "moving its rule to the new listener")
    try:
        change_set = create_change_set(
            cloud,
            stack.name,
            template=json.loads(template.replace(old, new)),
            parameters=stack.parameters,
            tags=stack.tags,
            creates=False,
            role=role,
        )
    except CortexError as error:
        return error.message
    outcome = run(cloud, change_set, name, progress) if change_set else None
    if outcome and not outcome.succeeded:
        return outcome.cause.reason if outcome.cause else "its stack was not updated"
    return None
