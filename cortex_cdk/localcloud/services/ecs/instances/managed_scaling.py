"""Decides how many instances a group needs, and which instances go. Pure functions.

Sources: "Managed scaling" of the ECS developer guide, and the API's ``ManagedScaling``. ECS keeps the share of the
needed instances (M of N, the metric CapacityProviderReservation) at the target capacity: it adds instances while tasks
wait for room, and removes instances that nobody has needed for fifteen minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cortex_cdk.localcloud.services.ecs.instances.placement import Demand, Instance, choose
from cortex_cdk.localcloud.services.ecs.instances.task_resources import Resources

SCALE_IN_AFTER = 900.0
"""Seconds for which a group has had spare instances, before it gives them back."""


@dataclass(frozen=True)
class Bounds:
    """The bounds of a group's size.

    Attributes:
        minimum: The group's minimum.
        maximum: The group's maximum.
        target: The target capacity in percent: 100 keeps no spare instance.
        smallest_step: The fewest instances that are added at once.
        largest_step: The most instances that are added at once.
    """

    minimum: int
    maximum: int
    target: int = 100
    smallest_step: int = 1
    largest_step: int = 10_000

    def clamp(self, count: int) -> int:
        """Return the nearest size within the bounds."""
        return max(self.minimum, min(self.maximum, count))


def needed(instances: Sequence[Instance], empty: Resources, waiting: Sequence[Demand]) -> int:
    """Return how many instances the running and the waiting tasks need.

    Args:
        instances: The group's instances as they will be soon: a starting instance is empty, and the resources of a task
            that is about to stop are free.
        empty: The resources of a new instance.
        waiting: The tasks that wait for an instance of this group. A task that fits no new instance is left out,
            because more instances would not help it.
    """
    fleet = list(instances)
    for demand in sorted(waiting, key=_size, reverse=True):
        chosen = choose(demand, fleet)
        if chosen is None:
            chosen = Instance(f"new-{len(fleet)}", "", empty, demand.provider)
            if not chosen.accepts(demand):
                continue
            fleet.append(chosen)
        fleet[fleet.index(chosen)] = chosen.taking(demand)
    return sum(instance.busy for instance in fleet)


def desired(present: int, need: int, bounds: Bounds, spare_for: float) -> int:
    """Return the desired size of a group.

    Args:
        present: How many instances the group has or starts.
        need: How many instances its tasks need.
        bounds: The bounds of its size.
        spare_for: Seconds for which the group has had more instances than it needs.
    """
    wanted = bounds.clamp(math.ceil(need * 100 / bounds.target))
    if wanted > present:
        step = max(bounds.smallest_step, min(bounds.largest_step, wanted - present))
        return bounds.clamp(present + step)
    if wanted < present and spare_for < SCALE_IN_AFTER:
        return bounds.clamp(present)
    return wanted


def reservation(running: int, need: int) -> float:
    """Return the metric CapacityProviderReservation: the needed instances in percent of the running ones.

    Without running instances the metric is 200 if some are needed, and 100 if none are.
    """
    if running:
        return 100 * need / running
    return 200.0 if need else 100.0


def has_spare(present: int, need: int, bounds: Bounds) -> bool:
    """Return whether a group has more instances than it needs."""
    return bounds.clamp(math.ceil(need * 100 / bounds.target)) < present


@dataclass(frozen=True)
class Member:
    """An instance of a group that may have to go.

    Attributes:
        id: The instance's id.
        busy: Whether the instance has tasks.
        leaving: Whether the instance takes no more tasks, and goes when it has none left.
        protected: Whether the instance is protected from scale-in, and stays.
    """

    id: str
    busy: bool
    leaving: bool = False
    protected: bool = False


@dataclass(frozen=True)
class Departure:
    """The instances of a group that go.

    Attributes:
        end: Instances without tasks, to be ended now.
        drain: Instances that take no more tasks from now on, and end when they have none left.
    """

    end: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()


def departure(members: Sequence[Member], size: int) -> Departure:
    """Return which instances go, so that a group gets its desired size.

    Args:
        members: All instances of the group, the oldest first.
        size: How many instances stay.
    """
    left = [member.id for member in members if member.leaving and not member.busy]
    youngest_first = [member for member in members if not member.leaving][::-1]
    # Idle instances first: of the busy ones only as many as must.
    free = [member for member in youngest_first if not member.protected]
    going = sorted(free, key=lambda member: member.busy)[: max(0, len(youngest_first) - size)]
    return Departure(
        end=(*left, *(member.id for member in going if not member.busy)),
        drain=tuple(member.id for member in going if member.busy),
    )


def _size(demand: Demand) -> tuple[int, int, int]:
    return demand.resources.gpus, demand.resources.memory, demand.resources.cpu
