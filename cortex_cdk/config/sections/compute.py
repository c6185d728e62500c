"""The ``compute`` section: CPU, memory and accelerators of one replica."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from cortex_cdk.config.model import Conflict, Section, Shown, Whole
from cortex_cdk.config.quantities import Cpu, Memory
from cortex_cdk.config.sections.instance_group import Accelerator

# Reservation of replicas without mem: enough to spread replicas over instances, and no limit.
DEFAULT_RESERVATION_MIB = 512
NEURON_CORES_PER_CHIP = 4  # Of Inferentia 1 (inf1), https://aws.amazon.com/ec2/instance-types/inf1/


class Compute(Section):
    """CPU, memory and accelerators of each replica.

    A replica has GPUs or an Inferentia chip, not both. ONNX predictors do not run on Inferentia, where
    ``processes_per_replica`` is 1, 2 or 4.
    """

    cpu: Annotated[Cpu, Shown("200m")] = Field(
        0.2, description="CPU share of a replica: `cpu` units of its ECS container (1024 = 1 CPU)."
    )
    mem: Annotated[Memory | None, Shown("no limit")] = Field(
        None,
        description="Memory limit of a replica, which ends when it needs more. Without a limit, "
        f"{DEFAULT_RESERVATION_MIB} MiB are reserved, and the instance's memory is the limit.",
    )
    gpu: Annotated[Whole, Field(ge=0)] = Field(0, description="GPUs of a replica, shared with no other replica.")
    inf: Annotated[Whole, Field(ge=0, le=1)] = Field(0, description="AWS Inferentia chips of a replica.")

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator that the replica's instance must have."""
        return "gpu" if self.gpu else "inf" if self.inf else "none"

    @property
    def cpu_units(self) -> int:
        """CPU in units of ECS (1024 = 1 virtual CPU), rounded up."""
        return -(-round(self.cpu * 1000) * 1024 // 1000)

    def threads(self, processes: int) -> int:
        """Threads that each of so many processes has CPUs for."""
        return max(1, math.ceil(self.cpu / processes))

    @property
    def memory_mib(self) -> int | None:
        """Memory limit in MiB, rounded up; None without a limit."""
        return None if self.mem is None else -(-self.mem // 2**20)

    @property
    def reserved_mib(self) -> int:
        """Memory in MiB that ECS sets aside for a replica: the limit, or a soft reservation if there is no limit."""
        return self.memory_mib or DEFAULT_RESERVATION_MIB

    def rules(self) -> Iterator[Conflict]:
        if self.gpu and self.inf:
            yield Conflict(
                (("inf",), ("gpu",)), "a replica cannot have both GPUs and Inferentia chips", "set one of them to 0"
            )
