"""One operation changes a stack at a time: another one that runs is joined, given up with ``--force``, or respected."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.config import RealtimeApi
from cortex_cdk.deploy.deployment import Deployment, Target
from cortex_cdk.deploy.plan import Release
from cortex_cdk.errors import Finding
from cortex_cdk.stack_operations.recovery import JOINABLE


def check_operations(deployment: Deployment) -> Iterator[Finding]:
    """Look whether another operation runs on a stack that this deployment wants to change into something else."""
    if deployment.wanted.force:
        return
    for target in deployment.targets:
        stack = target.stack
        if stack and stack.in_progress and not _may_be_joined(deployment, target):
            yield Finding(
                target.name,
                f"another operation is changing it ({stack.status})",
                f"wait until that has ended (cortex get {target.name}), or override it with --force",
            )


def _may_be_joined(deployment: Deployment, target: Target) -> bool:
    """Whether the operation may lead to what is wanted."""
    stack = target.deployed
    if stack is None or stack.status not in JOINABLE:
        return False
    if not isinstance(target.resource, RealtimeApi):
        # What a splitter is made from is known once its APIs are deployed; then it is compared.
        return True
    image = deployment.wanted.images[target.name]
    # An image that has to be built first is in no operation that runs.
    if image is None or target.priority is None:
        return False
    spec = deployment.wanted.spec(deployment.cluster.resources, target.resource, target.priority)
    return Release(spec, deployment.wanted.project_digest, image).is_deployed_as(stack)
