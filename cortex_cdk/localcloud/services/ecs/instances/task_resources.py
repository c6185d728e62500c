"""CPU, memory and GPUs: what a task asks for, and what an instance of a type has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex_cdk.capacity.instance_types import AGENT_MEMORY_MIB, USABLE_MEMORY_PERCENT, InstanceType, instance_types
from cortex_cdk.localcloud.containers.container_spec import gpus_wanted


@dataclass(frozen=True)
class Resources:
    """An amount of what instances have.

    Attributes:
        cpu: CPU units (1024 = 1 virtual CPU).
        memory: MiB.
        gpus: Whole GPUs.
    """

    cpu: int = 0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpu + other.cpu, self.memory + other.memory, self.gpus + other.gpus)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.cpu - other.cpu, self.memory - other.memory, self.gpus - other.gpus)

    def fits(self, room: Resources) -> bool:
        """Return whether there is room for this."""
        return self.lacking(room) is None

    def lacking(self, room: Resources) -> str | None:
        """What there is too little of, as ECS words it; None where there is room for this."""
        if self.gpus > room.gpus:
            return "GPU resource"
        if self.cpu > room.cpu:
            return "CPU units"
        return "memory" if self.memory > room.memory else None


def of_task(definition: Any) -> Resources:
    """What ECS sets aside for a task: the sizes of the task where it has any, else those of its containers.

    Of a container's memory settings the reservation counts, where there is one (RegisterTaskDefinition,
    memoryReservation).

    Args:
        definition: A task definition of moto.
    """
    containers: Sequence[Mapping[str, Any]] = definition.container_definitions
    cpu = sum(int(container.get("cpu") or 0) for container in containers)
    memory = sum(int(container.get("memoryReservation") or container.get("memory") or 0) for container in containers)
    gpus = sum(gpus_wanted(container) for container in containers)
    return Resources(int(definition.cpu or cpu), int(definition.memory or memory), gpus)


def of_type(name: str) -> Resources:
    """What an instance of a type registers in ECS; nothing for a type that is unknown.

    Args:
        name: Such as ``m6i.large``.
    """
    known = instance_types().get(name) or _described(name)
    return Resources(known.cpu_units, known.room_mib, known.gpus) if known else Resources()


def _described(name: str) -> InstanceType | None:
    """What EC2 here says of a type that our table leaves out (the smallest ones, and bare metal)."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    described = INSTANCE_TYPES.get(name)
    if described is None:
        return None
    return InstanceType(
        name=name,
        architecture=described["ProcessorInfo"]["SupportedArchitectures"][0],
        vcpus=described["VCpuInfo"]["DefaultVCpus"],
        memory_mib=max(described["MemoryInfo"]["SizeInMiB"], _LEAST_MEMORY_MIB),
        gpus=sum(gpu["Count"] for gpu in described.get("GpuInfo", {}).get("Gpus", [])),
        gpu_memory_mib=0,
        chips=0,
    )


# With less, the agent's share would leave less than nothing.
_LEAST_MEMORY_MIB = -(-AGENT_MEMORY_MIB * 100 // USABLE_MEMORY_PERCENT)
