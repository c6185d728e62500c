"""Puts into words why a cluster could not be made or changed."""

from __future__ import annotations

from cortex_cdk.clusters.instances import GROUP_TYPE
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations.operation import Outcome


def failure(name: str, outcome: Outcome, *, creates: bool) -> ClusterError:
    """Name the first cause of an operation that failed.

    Args:
        name: The cluster.
        outcome: How the operation ended.
        creates: Whether the operation was to make the cluster.
    """
    cause, stack = outcome.cause, outcome.stack
    what = (stack and stack.reason) or "no reason was given"
    aftermath = "nothing of it was kept" if creates else "it is what it was before"
    if cause:
        what = cause.explanation
    if outcome.launch and (cause is None or cause.resource_type == GROUP_TYPE):
        return ClusterError(
            f"the cluster {name!r} could not be deployed, because no instance could be started: {outcome.launch.what}",
            hint=f"{aftermath}; {outcome.launch.to_do}",
            details=[what],
        )
    hint = f"{aftermath}; {cause.remedy}" if cause and cause.remedy else aftermath
    return ClusterError(f"the cluster {name!r} could not be deployed: {what}", hint=hint)
