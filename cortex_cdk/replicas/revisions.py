"""Counts the replicas of a rollout by revision: the new one, and those that it replaces. Pure: nothing is read here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef, ServiceTypeDef

NOT_BEGUN = "not begun"
STARTING = "starting"
NO_CAPACITY = "no capacity"
FAILING = "failing"
TAKING_OVER = "taking over"
LIVE = "live"
FAILED = "failed"
SERVING = "serving"
DRAINING = "draining"

EARLIER = "earlier"
"""Stands for the revision that is replaced, where nobody knows which one that is."""


@dataclass(frozen=True)
class RevisionReplicas:
    """The replicas of one revision.

    Attributes:
        revision: The revision.
        state: What they do, such as ``starting``.
        desired: How many ECS wants.
        starting: How many have no running container yet.
        running: How many run.
        healthy: How many get requests.
        failed: How many have failed since the rollout began.
    """

    revision: str
    state: str
    desired: int = 0
    starting: int = 0
    running: int = 0
    healthy: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Rollout:
    """How far a rollout has come.

    Attributes:
        new: The revision that is rolled out.
        old: What it replaces; None where nothing of that runs.
        reason: Why the new replicas do not serve, in one line; empty where nothing is in the way.
    """

    new: RevisionReplicas
    old: RevisionReplicas | None = None
    reason: str = ""


@dataclass(frozen=True)
class Background:
    """What is known of a rollout beside what ECS says of the service.

    Attributes:
        revision: The revision that is rolled out.
        before: The revision before; the same where replicas stay, None where it is not known.
        earlier: The task definitions that ran before the rollout.
        begun: Whether a replica of the new revision was seen before.
        failed: How many replicas of the new revision have failed.
        obstacle: Why replicas have no place, or have failed; empty where nothing is known of that.
        is_short: Whether they have no place.
    """

    revision: str
    before: str | None
    earlier: Collection[str]
    begun: bool = False
    failed: int = 0
    obstacle: str = ""
    is_short: bool = False

    def is_new(self, deployment: DeploymentTypeDef) -> bool:
        """Whether a deployment of the service is that of the new revision."""
        if self.before in (None, self.revision):
            return deployment["status"] == "PRIMARY"
        return deployment["taskDefinition"] not in self.earlier


def rollout_of(service: ServiceTypeDef | None, targets: Sequence[str], known: Background) -> Rollout:
    """Count the replicas of a service by revision.

    The target group does not say which deployment a target is of: those that drain are of the revision that leaves.

    Args:
        service: As ECS describes it; None where it does not exist.
        targets: The states of the targets of its target group, such as ``healthy``.
        known: What is known beside.
    """
    deployments = service["deployments"] if service else []
    new = [one for one in deployments if known.is_new(one)]
    old = [one for one in deployments if not known.is_new(one)]
    primary = next((one for one in deployments if one["status"] == "PRIMARY"), None)
    has_turned = (known.begun or known.failed > 0) and primary not in new
    states = Counter(targets)
    healthy, running = states["healthy"], _running(new)
    staying = _running(old)
    old_healthy = min(healthy, staying if has_turned else max(0, staying - states["draining"]))
    new_healthy = 0 if has_turned else min(running, healthy - old_healthy)
    if has_turned:
        state = FAILED
    elif primary is None or primary not in new:
        state = NOT_BEGUN
    else:
        state = _state(primary, new_healthy, staying, known)
    replaced = _row(old, known.before or EARLIER, SERVING if old_healthy else DRAINING, healthy=old_healthy)
    return Rollout(
        new=_row(new, known.revision, state, healthy=new_healthy, failed=known.failed),
        old=replaced if staying or replaced.desired else None,
        reason="" if state == LIVE else known.obstacle,
    )


def _state(primary: DeploymentTypeDef, healthy: int, staying: int, known: Background) -> str:
    """What the replicas of the deployment that is rolled out do."""
    if primary.get("rolloutState") == "COMPLETED" or (healthy >= primary["desiredCount"] and not staying):
        return LIVE
    if known.is_short:
        return NO_CAPACITY
    if healthy:
        return TAKING_OVER if staying else STARTING
    return FAILING if known.failed else STARTING


def _row(
    deployments: Sequence[DeploymentTypeDef], revision: str, state: str, *, healthy: int, failed: int = 0
) -> RevisionReplicas:
    return RevisionReplicas(
        revision=revision,
        state=state,
        desired=sum(one["desiredCount"] for one in deployments),
        starting=sum(one["pendingCount"] for one in deployments),
        running=_running(deployments),
        healthy=healthy,
        failed=failed,
    )


def _running(deployments: Sequence[DeploymentTypeDef]) -> int:
    return sum(one["runningCount"] for one in deployments)
