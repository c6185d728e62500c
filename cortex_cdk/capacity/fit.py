"""Compares the needs of a replica with the resources of instances."""

from __future__ import annotations

from collections.abc import Iterable

from cortex_cdk.capacity.instance_types import USABLE_MEMORY_PERCENT, InstanceType, instance_types
from cortex_cdk.capacity.machine import Machine
from cortex_cdk.config.sections.compute import Compute

_PLAIN_FAMILIES = ("t3", "c6i", "m6i", "r6i")
"""Families that have 1, 2, 4 or 8 GiB for each CPU, and nothing else."""


def fits(compute: Compute, instance: InstanceType) -> bool:
    """Return whether an empty instance has room for a replica."""
    return per_instance(compute, instance) > 0


def per_instance(compute: Compute, instance: InstanceType) -> int:
    """Return how many replicas an empty instance has room for.

    Args:
        compute: What each replica asks for.
        instance: The type of the instance.
    """
    counts = [instance.cpu_units // compute.cpu_units, instance.room_mib // compute.reserved_mib]
    if compute.gpu:
        counts.append(instance.gpus // compute.gpu)
    if compute.inf:
        # ECS cannot count chips, so the service places one replica on an instance.
        counts.append(min(1, instance.chips))
    return min(counts)


def group_rank(compute: Compute, types: Iterable[str]) -> int:
    """Rank a group of instances for a replica.

    EC2 may start any type of a group, so a group is best if all of its types have room. Types that the table does not
    know count as large enough: AWS says if they are not.

    Args:
        compute: What the replica asks for.
        types: Names of the group's instance types.

    Returns:
        2 if every type has room, 1 if some have, 0 if none has.
    """
    known = instance_types()
    room = [name not in known or fits(compute, known[name]) for name in types]
    return all(room) + any(room)


def largest(compute: Compute, types: Iterable[str]) -> InstanceType:
    """Return the largest instance type for a replica: by accelerators if it asks for one, then memory, then CPUs.

    Args:
        compute: What the replica asks for.
        types: Names of instance types, of which the table knows at least one.
    """
    known = instance_types()
    return max(
        (known[name] for name in types if name in known),
        key=lambda instance: (
            instance.gpus if compute.gpu else instance.chips if compute.inf else 0,
            instance.memory_mib,
            instance.vcpus,
        ),
    )


def largest_within(machine: Machine) -> InstanceType:
    """Return the largest plain instance type that is no larger than a machine; the smallest one if none is.

    Cores count first, then memory. A machine of 16 GiB counts as one of 16 GiB, though its kernel shows a little less.

    Args:
        machine: The cores and the memory of the machine.
    """
    plain = [one for name, one in instance_types().items() if name.partition(".")[0] in _PLAIN_FAMILIES]
    fitting = [
        one
        for one in plain
        if one.vcpus <= machine.cores and one.memory_mib * USABLE_MEMORY_PERCENT // 100 <= machine.memory_mib
    ]
    if not fitting:
        return min(plain, key=lambda one: (one.vcpus, one.memory_mib))
    return max(fitting, key=lambda one: (one.vcpus, one.memory_mib, one.name))


def request_in_words(compute: Compute) -> str:
    """Word what a replica asks for, such as ``1536 CPU units (1.5 vCPU), 3072 MiB, 1 GPU``."""
    memory = f"{compute.memory_mib} MiB" if compute.memory_mib else f"{compute.reserved_mib} MiB (by default)"
    parts = [f"{compute.cpu_units} CPU units ({compute.cpu:g} vCPU)", memory]
    parts += [f"{compute.gpu} GPU{'s' if compute.gpu > 1 else ''}"] if compute.gpu else []
    parts += ["1 Inferentia chip"] if compute.inf else []
    return ", ".join(parts)


def room_in_words(instance: InstanceType) -> str:
    """Word what an instance offers to replicas, such as ``m6i.large: 2048 CPU units, 7444 MiB, no GPU``."""
    gpus = f"{instance.gpus} GPU{'s' if instance.gpus > 1 else ''}" if instance.gpus else "no GPU"
    chips = f", {instance.chips} chip{'s' if instance.chips > 1 else ''}" if instance.chips else ""
    return f"{instance.name}: {instance.cpu_units} CPU units, {instance.room_mib} MiB, {gpus}{chips}"
