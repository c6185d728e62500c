"""CPUs, memory, GPUs and chips of EC2 instance types, from the table ``instance_types.csv``.

Source: EC2's answer to DescribeInstanceTypes in November 2026, without bare metal and without the sizes nano and micro,
which no instance group takes. Newer types are not in the table, and nothing is assumed of them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")

# Reserved for the ECS agent (ECS_RESERVED_MEMORY in the instance's user data).
AGENT_MEMORY_MIB = 256
# Share of its nominal memory that a booted instance offers, on the safe side (reference aws.md 1.5).
USABLE_MEMORY_PERCENT = 94


@dataclass(frozen=True)
class InstanceType:
    """One EC2 instance type.

    Attributes:
        name: Name of the type, such as ``g4dn.xlarge``.
        architecture: ``x86_64`` or ``arm64``.
        vcpus: Virtual CPUs.
        memory_mib: Nominal memory in MiB.
        gpus: Whole GPUs; 0 for instances that have a part of a GPU.
        gpu_memory_mib: Memory of each GPU in MiB.
        chips: Inferentia or Trainium chips.
    """

    name: str
    architecture: str
    vcpus: int
    memory_mib: int
    gpus: int
    gpu_memory_mib: int
    chips: int

    @property
    def cpu_units(self) -> int:
        """CPU in units of ECS (1024 = 1 virtual CPU)."""
        return self.vcpus * 1024

    @property
    def room_mib(self) -> int:
        """Memory for replicas, in MiB."""
        return self.memory_mib * USABLE_MEMORY_PERCENT // 100 - AGENT_MEMORY_MIB


@cache
def instance_types() -> Mapping[str, InstanceType]:
    """Return all instance types of the table, by name."""
    with TABLE.open(newline="") as file:
        return {row["type"]: _instance_type(row) for row in csv.DictReader(file)}


def _instance_type(row: Mapping[str, str]) -> InstanceType:
    return InstanceType(
        name=row["type"],
        architecture=row["architecture"],
        vcpus=int(row["vcpus"]),
        memory_mib=int(row["memory_mib"]),
        gpus=int(row["gpus"]),
        gpu_memory_mib=int(row["gpu_memory_mib"]),
        chips=int(row["chips"]),
    )
