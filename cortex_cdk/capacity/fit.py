"""Where a replica has room: what it asks for, against what the instances of a cluster's groups have."""

from __future__ import annotations

from collections.abc import Iterable

from cortex_cdk.capacity.instance_types import InstanceType, instance_types
from cortex_cdk.config.sections.compute import Compute


def fits(compute: Compute, instance: InstanceType) -> bool:
    """Whether an empty instance of that type has room for a replica."""
    return per_instance(compute, instance) > 0


def per_instance(compute: Compute, instance: InstanceType) -> int:
    """How many replicas an empty instance of that type has room for."""
    counts = [instance.cpu_units // compute.cpu_units, instance.room_mib // compute.reserved_mib]
    if compute.gpu:
        counts.append(instance.gpus // compute.gpu)
    if compute.inf:
        # ECS does not count chips, so the service puts one replica on an instance.
        counts.append(min(1, instance.chips))
    return min(counts)


def group_rank(compute: Compute, types: Iterable[str]) -> int:
    """How well a group of these instance types suits a replica.

    EC2 may start any type of a group, so a group all of whose types have room is better than one with some. Types
    that the table does not know are taken to have room: AWS will say if they have not.

    Returns:
        2 where every type has room, 1 where some have, 0 where none has.
    """
    known = instance_types()
    room = [name not in known or fits(compute, known[name]) for name in types]
    return all(room) + any(room)


def largest(compute: Compute, types: Iterable[str]) -> InstanceType:
    """The largest of these types for such a replica; at least one must be known.

    Its accelerator counts most, where it asks for one, then memory, then CPUs.
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


def request_in_words(compute: Compute) -> str:
    """What a replica asks for, such as ``1536 CPU units (1.5 vCPU), 3072 MiB, 1 GPU``."""
    memory = f"{compute.memory_mib} MiB" if compute.memory_mib else f"{compute.reserved_mib} MiB (by default)"
    parts = [f"{compute.cpu_units} CPU units ({compute.cpu:g} vCPU)", memory]
    parts += [f"{compute.gpu} GPU{'s' if compute.gpu > 1 else ''}"] if compute.gpu else []
    parts += ["1 Inferentia chip"] if compute.inf else []
    return ", ".join(parts)


def room_in_words(instance: InstanceType) -> str:
    """What replicas can have on an instance, such as ``m6i.large: 2048 CPU units, 7444 MiB, no GPU``."""
    gpus = f"{instance.gpus} GPU{'s' if instance.gpus > 1 else ''}" if instance.gpus else "no GPU"
    chips = f", {instance.chips} chip{'s' if instance.chips > 1 else ''}" if instance.chips else ""
    return f"{instance.name}: {instance.cpu_units} CPU units, {instance.room_mib} MiB, {gpus}{chips}"
