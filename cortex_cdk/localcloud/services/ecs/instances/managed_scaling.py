"""How many instances a group needs, as pure functions.

Source: "Managed scaling" (ECS developer guide) and the API's ``ManagedScaling``. ECS keeps the share of the instances
that are needed (M of N, the metric CapacityProviderReservation) at the target capacity: it adds instances while tasks
wait for room, and removes what has been too much for fifteen minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cortex_cdk.localcloud.services.ecs.instances.placement import Demand, Instance, choose
from cortex_cdk.localcloud.services.ecs.instances.task_resources import Resources

SCALE_IN_AFTER = 900.0
"""Seconds for which a group has had instances to spare before it gives them back."""


@dataclass(frozen=True)
class Bounds:
    """What bounds the size of a group.

    Attributes:
        minimum: The group's minimum.
        maximum: Its maximum.
        target: The target capacity in percent: 100 keeps no spare instance.
        smallest_step: The fewest instances that are added at once.
        largest_step: The most.
    """

    minimum: int
    maximum: int
    target: int = 100
    smallest_step: int = 1
    largest_step: int = 10_000

    def clamp(self, count: int) -> int:
        """Return the nearest size that is allowed."""
        return max(self.minimum, min(self.maximum, count))


def needed(instances: Sequence[Instance], empty: Resources, waiting: Sequence[Demand]) -> int:
    """Return how many instances the tasks that run and those that wait need.

    Args:
        instances: The group's, as they will be soon: those that still start are empty, and what a task holds that is
            about to stop is free.
        empty: What a new instance has.
        waiting: The tasks that wait for an instance of this group. Those that no new instance has room for are left
            out: more instances would not help them.
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
    """Return the size that a group shall have.

    Args:
        present: How many instances it has or starts.
        need: How many are needed.
        bounds: What bounds it.
        spare_for: Seconds for which it has had more than it needs.
    """
    wanted = bounds.clamp(math.ceil(need * 100 / bounds.target))
    if wanted > present:
        step = max(bounds.smallest_step, min(bounds.largest_step, wanted - present))
        return bounds.clamp(present + step)
    if wanted < present and spare_for < SCALE_IN_AFTER:
        return bounds.clamp(present)
    return wanted


def reservation(running: int, need: int) -> float:
    """What CapacityProviderReservation says: the instances that are needed, in percent of those that run.

    Without any that run it is 200 where some are needed, and 100 where none are.
    """
    if running:
        return 100 * need / running
    return 200.0 if need else 100.0


def has_spare(present: int, need: int, bounds: Bounds) -> bool:
    """Return whether a group has more instances than it shall have."""
    return bounds.clamp(math.ceil(need * 100 / bounds.target)) < present


@dataclass(frozen=True)
class Member:
    """An instance of a group that may have to go.

    Attributes:
        id: Its id.
        busy: Whether tasks are on it.
        leaving: Whether it takes no more tasks already and goes when it has none left.
    """

    id: str
    busy: bool
    leaving: bool = False


@dataclass(frozen=True)
class Departure:
    """Which instances of a group go.

    Attributes:
        end: Those that are ended now; no task is on them.
        drain: Those that take no more tasks, and are ended when they have none left.
    """

    end: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()


def departure(members: Sequence[Member], size: int) -> Departure:
    """Return which instances go so that a group gets the size that it shall have.

    Args:
        members: All of the group, the oldest first.
        size: How many shall stay.
    """
    left = [member.id for member in members if member.leaving and not member.busy]
    youngest_first = [member for member in members if not member.leaving][::-1]
    # Of those that work only as many as must.
    going = sorted(youngest_first, key=lambda member: member.busy)[: max(0, len(youngest_first) - size)]
    return Departure(
        end=(*left, *(member.id for member in going if not member.busy)),
        drain=tuple(member.id for member in going if member.busy),
    )


def _size(demand: Demand) -> tuple[int, int, int]:
    return demand.resources.gpus, demand.resources.memory, demand.resources.cpu
