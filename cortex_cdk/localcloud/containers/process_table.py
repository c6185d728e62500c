"""Reads all processes of this machine at once: whose children they are, and how much memory they hold.

Asked for one container at a time, the system would be read anew for each: with a hundred, that takes a core.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

PARENT, START_TICKS, RESIDENT_PAGES = 1, 19, 21
"""Indices of ``ppid``, ``starttime`` and ``rss`` (fields 4, 22 and 24 of proc(5)) in what ``stat_fields`` returns."""
LONGEST_LINE = 1024
"""Bytes: some fifty numbers, and a name of at most 64 bytes."""


@dataclass(frozen=True)
class ProcessTable:
    """The processes at one moment.

    Attributes:
        children: The children of each process, by process id.
        resident: The bytes that each process holds, shared pages included.
    """

    children: dict[int, list[int]]
    resident: dict[int, int]

    def tree(self, leader: int) -> Iterator[int]:
        """Yield a process and its descendants."""
        waiting = [leader]
        while waiting:
            pid = waiting.pop()
            yield pid
            waiting += self.children.get(pid, ())

    def held(self, leader: int) -> int:
        """Return the bytes that a process and its descendants hold. Shared pages count once for each of them."""
        return sum(self.resident.get(pid, 0) for pid in self.tree(leader))


def read() -> ProcessTable:
    """Read the table now."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for pid, parent, held in _of_linux() if psutil.LINUX else _of_others():
        children.setdefault(parent, []).append(pid)
        resident[pid] = held
    return ProcessTable(children, resident)


def stat_fields(pid: int) -> list[bytes]:
    """Return the fields of ``/proc/PID/stat`` after the program's name, which may have blanks, up to ``rss``.

    Raises:
        OSError: There is no such process, or no such file on this system.
    """
    return _content(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, RESIDENT_PAGES + 1)


def _of_linux() -> Iterator[tuple[int, int, int]]:
    # Twice a second for all processes of the machine: objects for paths and files would take three times as long.
    page = os.sysconf("SC_PAGE_SIZE")
    for pid in psutil.pids():
        # One that ends meanwhile is left out.
        with contextlib.suppress(OSError, IndexError):
            fields = stat_fields(pid)
            yield pid, int(fields[PARENT]), int(fields[RESIDENT_PAGES]) * page


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, LONGEST_LINE)
    finally:
        os.close(descriptor)


def _of_others() -> Iterator[tuple[int, int, int]]:
    for process in psutil.process_iter(["ppid", "memory_info"]):
        memory = process.info["memory_info"]
        yield process.pid, process.info["ppid"] or 0, memory.rss if memory else 0
