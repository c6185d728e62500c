"""Where a task is placed, as pure functions.

Source: "How Amazon ECS places tasks on container instances" (ECS developer guide): of the instances that have room and
meet the constraints, the strategies choose, the first one first. The constraint ``distinctInstance`` and the strategies
``spread`` (by availability zone or instance) and ``binpack`` are known; a ``random`` choice is as good as the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cortex_cdk.localcloud.services.ecs.instances.task_resources import Resources

ZONE = "attribute:ecs.availability-zone"
INSTANCE = "instanceId"


@dataclass(frozen=True)
class Demand:
    """What one task asks of an instance.

    Attributes:
        resources: What it needs.
        group: The tasks that it is spread among, or kept apart from: those of its service.
        apart: Whether no other task of its group may be on the instance (``distinctInstance``).
        provider: The capacity provider whose instances it may have; None for any instance of the cluster.
        strategies: Pairs of type and field, such as ``("binpack", "memory")``.
    """

    resources: Resources
    group: str = ""
    apart: bool = False
    provider: str | None = None
    strategies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Instance:
    """An instance as placement sees it.

    Attributes:
        id: Its id.
        zone: Its availability zone.
        provider: The capacity provider of its group.
        room: What is free on it.
        groups: The groups of the tasks on it, one for each task.
        busy: Whether any task is on it, be it one that ``groups`` leaves out because it is about to stop.
    """

    id: str
    zone: str
    room: Resources
    provider: str | None = None
    groups: tuple[str, ...] = ()
    busy: bool = False

    def taking(self, demand: Demand) -> Instance:
        """Return the instance with one more task on it."""
        return replace(self, room=self.room - demand.resources, groups=(*self.groups, demand.group), busy=True)

    def accepts(self, demand: Demand) -> bool:
        """Return whether a task can be placed on it."""
        return (
            demand.provider in {None, self.provider}
            and demand.resources.fits(self.room)
            and not (demand.apart and demand.group in self.groups)
        )


def choose(demand: Demand, instances: Sequence[Instance]) -> Instance | None:
    """Return the instance that a task is placed on; None where none can take it.

    Args:
        instances: Those that take tasks, the oldest first.
    """
    suitable = [instance for instance in instances if instance.accepts(demand)]
    in_zone = {
        instance.zone: sum(other.groups.count(demand.group) for other in instances if other.zone == instance.zone)
        for instance in suitable
    }

    def rank(instance: Instance) -> tuple[int, ...]:
        ranks = []
        for kind, subject in demand.strategies:
            if kind == "spread":
                ranks.append(in_zone[instance.zone] if subject == ZONE else instance.groups.count(demand.group))
            elif kind == "binpack":
                ranks.append(instance.room.cpu if subject.lower() == "cpu" else instance.room.memory)
        return tuple(ranks)

    return min(suitable, key=rank, default=None)


def obstacle(demand: Demand, instances: Iterable[Instance]) -> str:
    """Return why a task has no place, in the words of ECS's service events.

    Args:
        instances: Those that take tasks; none of them accepts the task.
    """
    candidates = [instance for instance in instances if demand.provider in {None, instance.provider}]
    if not candidates:
        where = "cluster" if demand.provider is None else "capacity provider"
        return f"Reason: No Container Instances were found in your {where}."
    closest = max(candidates, key=lambda instance: _closeness(demand, instance))
    lacking = demand.resources.lacking(closest.room)
    if lacking:
        return f"The closest matching (container-instance {closest.id}) has insufficient {lacking} available."
    return f"The closest matching (container-instance {closest.id}) encountered error {DISTINCT}."


DISTINCT = '"DistinctInstance placement constraint unsatisfied."'


def _closeness(demand: Demand, instance: Instance) -> tuple[int, int, int]:
    wanted, room = demand.resources, instance.room
    enough = (wanted.gpus <= room.gpus) + (wanted.cpu <= room.cpu) + (wanted.memory <= room.memory)
    return enough, room.memory, room.cpu


@dataclass(frozen=True)
class Share:
    """One item of a capacity provider strategy.

    Attributes:
        provider: The capacity provider.
        base: How many tasks run on it before others get any.
        weight: Its share of the tasks beyond the bases.
    """

    provider: str
    base: int = 0
    weight: int = 0


def provider_for(strategy: Sequence[Share], placed: Sequence[str | None]) -> str | None:
    """Return the capacity provider of a service's next task; None where the service has no strategy.

    Args:
        strategy: The service's.
        placed: The providers of the tasks that it has, one for each.
    """
    below_base = [share for share in strategy if placed.count(share.provider) < share.base]
    if below_base:
        return below_base[0].provider
    weighted = [share for share in strategy if share.weight] or list(strategy)[:1]
    lowest = min(
        weighted,
        key=lambda share: (placed.count(share.provider) - share.base) / max(1, share.weight),
        default=None,
    )
    return lowest.provider if lowest else None
