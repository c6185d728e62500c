"""The decisions of the ECS service scheduler, as pure functions of what is and what is wanted.

Sources: the "Rolling updates" and "Deployment circuit breaker" pages of the ECS developer guide;
``maximumPercent`` is rounded down and ``minimumHealthyPercent`` up (API reference, DeploymentConfiguration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Health(Enum):
    """How a replica counts."""

    STARTING = "starting"
    """It runs or is about to, but has not passed a health check yet."""
    HEALTHY = "healthy"
    """It runs and passes its health checks, where there are any."""
    FAILING = "failing"
    """It runs and fails its health checks: it must be replaced."""


@dataclass(frozen=True)
class Replica:
    """A task of a service that is not being stopped.

    Attributes:
        id: Its task id.
        current: Whether it belongs to the primary deployment.
        health: How it counts.
        placed: Whether it has an instance, rather than waiting for one with room.
    """

    id: str
    current: bool
    health: Health
    placed: bool = True


@dataclass(frozen=True)
class Limits:
    """How many replicas there may be during a deployment.

    Attributes:
        lower: Fewer healthy ones are never caused by the scheduler.
        upper: More (starting, healthy or failing) are never caused by the scheduler.
    """

    lower: int
    upper: int

    @classmethod
    def of(cls, desired: int, minimum_healthy_percent: int, maximum_percent: int) -> Limits:
        """Return the limits that ECS derives from the percentages: the minimum rounded up, the maximum down."""
        return cls(lower=-(-desired * minimum_healthy_percent // 100), upper=desired * maximum_percent // 100)


@dataclass(frozen=True)
class Decision:
    """What to do now.

    Attributes:
        start: How many tasks of the primary deployment to start.
        stop: The tasks to stop.
    """

    start: int = 0
    stop: tuple[str, ...] = ()


def decide(desired: int, limits: Limits, replicas: Sequence[Replica]) -> Decision:
    """Return which replicas to start and to stop next.

    Args:
        desired: The wanted number of replicas of the primary deployment.
        limits: How many there may be.
        replicas: All replicas that are not being stopped, oldest first.

    Returns:
        A decision that never takes the number of healthy replicas below ``limits.lower`` nor the number of
        replicas above ``limits.upper``. Repeated while replicas become healthy it ends with exactly
        ``desired`` healthy replicas of the primary deployment, provided that ``limits.lower < limits.upper``.
        Where instances have no room for more than ``desired``, it does so provided that ``limits.lower < desired``:
        old replicas make room for those that wait.
    """
    healthy = sum(replica.health is Health.HEALTHY for replica in replicas)
    good = [replica for replica in replicas if replica.current and replica.health is not Health.FAILING]
    missing = max(0, desired - len(good))
    room = max(0, limits.upper - len(replicas))
    covered = healthy >= desired

    stop = _surplus(good, desired)
    # An old replica that never became healthy, or no longer is, serves nobody: it only takes room.
    stop += [r for r in replicas if not r.current and r.health is not Health.HEALTHY]
    failing = [r for r in replicas if r.current and r.health is Health.FAILING]
    waiting = sum(replica.current and not replica.placed for replica in replicas)
    blocking = max(max(0, missing - room) + waiting, len(replicas) - limits.upper)
    stop += failing if covered else failing[: max(0, blocking - len(stop))]

    old = [replica for replica in replicas if not replica.current and replica.health is Health.HEALTHY]
    healthy -= sum(replica.health is Health.HEALTHY for replica in stop)
    replaced = healthy - desired
    stoppable = max(0, healthy - limits.lower)
    stop += old[: max(0, min(stoppable, max(blocking - len(stop), replaced)))]

    remaining = len(replicas) - len(stop)
    start = max(0, min(missing, limits.upper - remaining))
    return Decision(start=start, stop=tuple(replica.id for replica in stop))


def _surplus(good: Sequence[Replica], desired: int) -> list[Replica]:
    """Replicas of the primary deployment that are too many: those not yet healthy first (of them those that still wait
    for an instance), then the youngest."""
    youngest_first = good[::-1]
    by_worth = sorted(youngest_first, key=lambda replica: (replica.health is Health.HEALTHY, replica.placed))
    return by_worth[: max(0, len(good) - desired)]
