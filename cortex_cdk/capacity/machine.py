"""Measures this machine: the cores and the memory that its processes may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MIB = 2**20


@dataclass(frozen=True)
class Machine:
    """What a machine, or the container around this process, has.

    Attributes:
        cores: CPUs, at least one.
        memory_mib: Memory in MiB.
    """

    cores: int
    memory_mib: int


def this_machine() -> Machine:
    """Return what this process may use: limits of a container count (cgroups, version 2 or 1)."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(max(1, min([cores, *map(int, _cpu_limits())])), min([memory, *_memory_limits()]) // MIB)


def _cpu_limits() -> Iterator[float]:
    for quota, period in (_numbers("cpu.max"), _numbers("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        if quota > 0 and period > 0:
            yield quota / period


def _memory_limits() -> Iterator[int]:
    for (limit,) in (_numbers("memory.max", count=1), _numbers("memory/memory.limit_in_bytes", count=1)):
        if limit > 0:
            yield limit


def _numbers(*names: str, count: int = 2) -> tuple[int, ...]:
    """Return the numbers in files of the cgroup; zeros where there is no limit."""
    with suppress(OSError, ValueError):
        words = [word for name in names for word in (CGROUP / name).read_text().split()]
        return tuple(int(word) for word in words[:count])
    return (0,) * count
