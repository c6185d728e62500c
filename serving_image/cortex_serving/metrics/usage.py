"""Measures what a replica uses: processors, memory, GPUs. Only Linux tells; elsewhere nothing is reported.

In a container the control group counts, as the limit does: page cache that the kernel can take back is left out. On a
machine that the replica shares with others, its processes are added up, pages that several share counted once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")
PARENT, USER_TIME, CHILDREN_SYSTEM_TIME = 1, 11, 14
"""Indices of ``ppid``, ``utime`` and ``cstime`` (fields 4, 14 and 17 of ``/proc/PID/stat``) after the name."""
GPU_QUERY = ("--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
GPU_SECONDS = 5.0
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Source:
    """Where processors and memory are read.

    Attributes:
        cpu_seconds: Processor time since some beginning.
        memory_bytes: Memory that is held now.
    """

    cpu_seconds: Callable[[], float]
    memory_bytes: Callable[[], int]


class UsageMeter:
    """Measures the replica whose main process this is, from one reading to the next."""

    def __init__(self) -> None:
        self._source = find_source(CGROUP)
        self._gpus = GpuReader()
        self._read_at = time.monotonic()
        self._cpu_seconds = self._cpu()

    def read(self) -> dict[str, Any]:
        """Return processors (1 is one that was busy since the last reading), bytes of memory, and each GPU."""
        before, self._cpu_seconds = self._cpu_seconds, self._cpu()
        started, self._read_at = self._read_at, time.monotonic()
        used: dict[str, Any] = {"gpus": self._gpus.read()}
        if before is not None and self._cpu_seconds is not None and self._read_at > started:
            used["cpu"] = round(max(0.0, self._cpu_seconds - before) / (self._read_at - started), 3)
        with contextlib.suppress(OSError, ValueError):
            used["memory_bytes"] = self._source.memory_bytes()
        return used

    def _cpu(self) -> float | None:
        with contextlib.suppress(OSError, ValueError):
            return self._source.cpu_seconds()
        return None


def find_source(cgroup: Path) -> Source:
    """Find where this replica is measured: by its control group if that holds nobody else, or process by process.

    Args:
        cgroup: Where control groups are mounted.
    """
    if _is_own(cgroup / "cgroup.procs") and (cgroup / "memory.current").exists():
        return Source(
            cpu_seconds=lambda: _fields(cgroup / "cpu.stat")["usage_usec"] / 1e6,
            memory_bytes=lambda: (
                int((cgroup / "memory.current").read_bytes()) - _fields(cgroup / "memory.stat")["inactive_file"]
            ),
        )
    memory, cpu = cgroup / "memory", cgroup / "cpuacct"
    if _is_own(memory / "cgroup.procs") and _is_own(cpu / "cgroup.procs"):
        return Source(
            cpu_seconds=lambda: int((cpu / "cpuacct.usage").read_bytes()) / 1e9,
            memory_bytes=lambda: (
                int((memory / "memory.usage_in_bytes").read_bytes())
                - _fields(memory / "memory.stat")["total_inactive_file"]
            ),
        )
    return Source(
        cpu_seconds=lambda: sum(map(_cpu_seconds, _descendants(os.getpid()))),
        memory_bytes=lambda: sum(map(_held_bytes, _descendants(os.getpid()))),
    )


def _is_own(members: Path) -> bool:
    """Whether a control group has no process but ours, and the container's own first one."""
    try:
        found = set(map(int, members.read_bytes().split()))
    except (OSError, ValueError):
        return False
    return os.getpid() in found and found <= {*_descendants(os.getpid()), *_ancestors(os.getpid())}


def _fields(path: Path) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in map(bytes.split, path.read_bytes().splitlines())}


def _stat(pid: int) -> list[bytes]:
    return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()


def _ancestors(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError, IndexError):
        while pid := int(_stat(pid)[PARENT]):
            yield pid


def _descendants(pid: int) -> list[int]:
    """A process and all that it has started, and these. One that ends meanwhile is left out."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        for children in (PROC / str(found[-1]) / "task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += map(int, children.read_bytes().split())
    return found


def _cpu_seconds(pid: int) -> float:
    """The processor time of a process, and of those of its children that have ended."""
    with contextlib.suppress(OSError, IndexError):
        return sum(map(int, _stat(pid)[USER_TIME : CHILDREN_SYSTEM_TIME + 1])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _held_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class GpuReader:
    """Asks NVIDIA's own program, which comes with the driver, about the GPUs that this replica may use."""

    def __init__(self) -> None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        program = shutil.which("nvidia-smi") if visible not in ("", "-1") else None
        self._command = [program, *GPU_QUERY, *(["-i", visible] if visible else [])] if program else None

    def read(self) -> list[dict[str, float]]:
        """Return the share of each GPU's time that was used, in percent, and bytes of its memory; what it tells."""
        if self._command is None:
            return []
        try:
            answer = subprocess.run(  # noqa: S603 - a program of the driver, and no words of users
                self._command, capture_output=True, text=True, timeout=GPU_SECONDS, check=True
            )
            return [_gpu(line) for line in answer.stdout.splitlines() if line.strip()]
        except (OSError, subprocess.SubprocessError):
            self._command = None  # a driver that does not answer once would hold up every report
            return []


def _gpu(line: str) -> dict[str, float]:
    names = ("percent", "memory_bytes", "memory_total_bytes")
    found: dict[str, float] = {}
    for name, text, factor in zip(names, line.split(","), (1, MEBIBYTE, MEBIBYTE), strict=False):
        with contextlib.suppress(ValueError):  # "[N/A]"
            found[name] = float(text) * factor
    return found
