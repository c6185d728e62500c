"""Where there is room in a cluster: its container instances, less the tasks on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cortex_cdk.localcloud.services.ecs.instances.container_instance import ACTIVE, ContainerInstance
from cortex_cdk.localcloud.services.ecs.instances.placement import Demand, Instance, choose, obstacle
from cortex_cdk.localcloud.services.ecs.instances.task_resources import Resources
from cortex_cdk.localcloud.services.ecs.task import Task


class Rooms:
    """Where there is room in one cluster now. Placing a task takes its room away at once.

    Args:
        known: The cluster's container instances.
        load: The tasks on them, by ARN.
    """

    def __init__(self, known: Sequence[ContainerInstance], load: Mapping[str, Sequence[Task]]) -> None:
        self._known = {instance.id: instance for instance in known}
        self._free = {
            instance.id: Instance(
                instance.id,
                instance.zone,
                left(instance, load.get(instance.container_instance_arn, ())),
                instance.capacity_provider_name,
                tuple(task.group for task in load.get(instance.container_instance_arn, ())),
            )
            for instance in known
            if instance.status == ACTIVE
        }
        self._arns = {instance.container_instance_arn: instance for instance in known}

    def place(self, demand: Demand) -> ContainerInstance | None:
        """Return the instance for a task, whose room it takes; None where none has room."""
        chosen = choose(demand, list(self._free.values()))
        if chosen is None:
            return None
        self._free[chosen.id] = chosen.taking(demand)
        return self._known[chosen.id]

    def obstacle(self, demand: Demand) -> str:
        """Return why ``place`` found nothing, as ECS words it."""
        return obstacle(demand, self._free.values())

    def knows(self, arn: str) -> bool:
        """Return whether an instance still is there."""
        return arn in self._arns

    def ec2_id(self, arn: str | None) -> str:
        """Return the id of the EC2 instance that a container instance is."""
        return str(self._arns[arn or ""].ec2_instance_id)

    def is_draining(self, arn: str | None) -> bool:
        """Return whether the tasks of an instance have to move to another one."""
        instance = self._arns.get(arn or "")
        return instance is not None and instance.status != ACTIVE


def left(instance: ContainerInstance, tasks: Sequence[Task]) -> Resources:
    """What is free on an instance that has these tasks."""
    return instance.registered - held(tasks)


def held(tasks: Sequence[Task]) -> Resources:
    """What these tasks take together."""
    return sum((task.demand.resources for task in tasks), Resources())
