"""What EC2 instances have: a table as data, ``instance_types.csv``.

It is what EC2 answered to DescribeInstanceTypes in November 2026 (without bare metal, and without the sizes nano and
micro, which no instance group takes). Types that came later are not in it: nothing is assumed of them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")

# The ECS agent keeps this for itself (ECS_RESERVED_MEMORY in the instance's user data).
AGENT_MEMORY_MIB = 256
# What a booted instance offers of its nominal memory, on the safe side (reference aws.md 1.5).
USABLE_MEMORY_PERCENT = 94


@dataclass(frozen=True)
class InstanceType:
    """One EC2 instance type.

    Attributes:
        name: Such as ``g4dn.xlarge``.
        architecture: ``x86_64`` or ``arm64``.
        vcpus: Virtual CPUs.
        memory_mib: Nominal memory in MiB.
        gpus: Whole GPUs; 0 where an instance has but a part of one.
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
        """Memory that replicas can have, in MiB."""
        return self.memory_mib * USABLE_MEMORY_PERCENT // 100 - AGENT_MEMORY_MIB


@cache
def instance_types() -> Mapping[str, InstanceType]:
    """Every instance type that is known, by name."""
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
