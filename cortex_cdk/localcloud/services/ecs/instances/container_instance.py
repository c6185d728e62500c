"""An instance as ECS knows it, with what it has and what is left of it."""

from __future__ import annotations

from typing import Any

from moto.ecs.models import ContainerInstance as MotoContainerInstance
from moto.ecs.models import EC2ContainerServiceBackend

from cortex_cdk.localcloud.services.autoscaling.groups import GroupInstance
from cortex_cdk.localcloud.services.ecs.instances.task_resources import Resources, of_type

ACTIVE, DRAINING = "ACTIVE", "DRAINING"
AGENT_PORTS = ["22", "2375", "2376", "51678", "51679"]
"""Ports that the instance itself uses; the tasks' ports are those of this machine."""

NUMBER = {"type": "INTEGER", "doubleValue": 0.0, "longValue": 0}
SET = {"type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0}


class ContainerInstance(MotoContainerInstance):
    """A registered instance.

    Attributes:
        capacity_provider_name: The capacity provider of its group; None where ECS does not know it.
        registered: What it has.
        zone: Its availability zone.
    """

    def __init__(
        self, member: GroupInstance, cluster: str, provider: str | None, backend: EC2ContainerServiceBackend
    ) -> None:
        super().__init__(member.id, backend.account_id, backend.region_name, cluster, backend)
        self.id = self.id.replace("-", "")
        self.capacity_provider_name = provider
        self.zone = str(member.availability_zone)
        self.registered = of_type(member.instance_type)
        self.registered_resources = _described(self.registered, member.id)
        self.left = self.registered
        self.remaining_resources = self.registered_resources

    def show(self, left: Resources, running: int, pending: int) -> None:
        """Write down how much of it is free, and how many tasks are on it."""
        self.running_tasks_count, self.pending_tasks_count = running, pending
        if left != self.left:
            self.left = left
            self.remaining_resources = _described(left, self.ec2_instance_id)


def _described(resources: Resources, instance: str) -> list[dict[str, Any]]:
    numbers = {"CPU": resources.cpu, "MEMORY": resources.memory}
    sets = {"PORTS": AGENT_PORTS, "PORTS_UDP": []}
    if resources.gpus:
        sets["GPU"] = [f"GPU-{instance}-{number}" for number in range(resources.gpus)]
    return [
        *({**NUMBER, "name": name, "integerValue": value} for name, value in numbers.items()),
        *({**SET, "name": name, "stringSetValue": values} for name, values in sets.items()),
    ]
