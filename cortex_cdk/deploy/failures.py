"""Puts into words why a deployment did not do what was asked for."""

from __future__ import annotations

from cortex_cdk.errors import DeployError
from cortex_cdk.replicas import remedies
from cortex_cdk.stack_operations.operation import Next, Outcome

LISTENER_RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
# What a service says whose rollout another one (UpdateService, forceNewDeployment) has taken the place of.
_REPLACED = "was replaced by"


class PriorityTakenError(DeployError):
    """Another deployment, which ran at the same time, has the priority of the listener rule."""

    def __init__(self, name: str, aftermath: str) -> None:
        super().__init__(
            f"{name}: deployments that ran at the same time took its priority in the listener again and again",
            hint=f"{aftermath}; deploy again",
        )


def interruption(name: str, outcome: Outcome, following: Next) -> DeployError:
    """Say that somebody else ended a deployment, though nothing of it had failed.

    Args:
        name: The API or splitter.
        outcome: How the deployment ended.
        following: What whoever ended it did next.
    """
    details = [f"a replica had failed: {outcome.replica.reason}"] if outcome.replica else []
    if following is Next.DELETION:
        verb = "created" if outcome.status == "DELETE_COMPLETE" else "updated"
        return DeployError(
            f"{name} was deleted while it was {verb}", hint="deploy it again if it should be there", details=details
        )
    what = "another deployment took its place" if following is Next.DEPLOYMENT else "another command gave it up"
    return DeployError(
        f"{name}: this deployment did not get to serve: {what}",
        hint=f"see what is deployed now with: cortex get {name}",
        details=details,
    )


def failure(name: str, outcome: Outcome) -> DeployError:
    """Name the first cause of an operation that failed.

    Args:
        name: The API or splitter.
        outcome: How the operation ended.
    """
    aftermath = _aftermath(name, outcome)
    if outcome.cause and _REPLACED in outcome.cause.reason:
        return DeployError(f"{name}: this deployment did not end: another refresh took its place", hint=aftermath)
    if outcome.replica:
        reason = outcome.replica.reason
        remedy = remedies.of_failure(reason) or "correct the cause"
        return DeployError(
            f"{name}: the replica failed: {reason}",
            hint=f"{aftermath}; {remedy} and deploy again",
            details=outcome.replica.details,
        )
    if outcome.launch or outcome.capacity:
        return _without_place(name, outcome, aftermath)
    if outcome.cause:
        cause = outcome.cause
        if cause.resource_type == LISTENER_RULE and "in use" in cause.reason:
            return PriorityTakenError(name, aftermath)
        hint = f"{aftermath}; {cause.remedy}" if cause.remedy else aftermath
        return DeployError(f"{name}: {cause.explanation}", hint=hint)
    reason = outcome.stack.reason if outcome.stack else "its stack was deleted meanwhile"
    return DeployError(f"{name}: the deployment failed: {reason}", hint=aftermath)


def _without_place(name: str, outcome: Outcome, aftermath: str) -> DeployError:
    """Say why a replica got no instance."""
    launch = outcome.launch
    if launch:
        return DeployError(
            f"{name}: no replica could be placed, because no instance could be started: {launch.what}",
            hint=f"{aftermath}; {launch.to_do}",
            details=[f"EC2 said: {launch.said}"],
        )
    return DeployError(
        f"{name}: no replica could be placed: {outcome.capacity}",
        hint=f"{aftermath}; raise max_instances of the instance group, or ask for less in compute",
    )


def _aftermath(name: str, outcome: Outcome) -> str:
    if outcome.stack is None and outcome.replica:
        return f"nothing of it was kept but the log (cortex why {name})"
    if outcome.stack is None:
        return "nothing of it was kept"
    if outcome.status == "UPDATE_ROLLBACK_FAILED":
        return f"the revision before does not serve either (cortex why {name})"
    return f"the previous revision keeps serving (cortex why {name})"
