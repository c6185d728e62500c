"""Tells whether a container holds more memory than its limit.

On an instance, the kernel kills a container at the moment in which it exceeds the limit of its control group. An
ordinary user cannot count on having control groups. So ``driver`` looks at every container twice a second, and
``process`` kills a container that has exceeded its limit, with the reason that the ECS agent would give.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import psutil

from cortex_cdk.localcloud.containers.process_table import ProcessTable

NOTICED = 0.01
"""The part of its memory by which a process must have changed for ``Holdings`` to ask again."""


def is_exceeded(leader: int, limit: int, table: ProcessTable) -> bool:
    """Return whether a process and its descendants hold more than a limit.

    Args:
        leader: The process id.
        limit: Bytes.
        table: The processes of this machine.
    """
    # Forked workers share pages, and a control group counts those once. Asking for that takes long, and is seldom due.
    return table.held(leader) > limit and held_once(leader, table) > limit


def held_once(leader: int, table: ProcessTable) -> int:
    """Return the bytes that a process and its descendants hold, shared pages counted once where the system can tell.

    Args:
        leader: The process id.
        table: The processes of this machine.
    """
    return _without_shared(table.tree(leader)) if psutil.LINUX else table.held(leader)


class Holdings:
    """Tells what containers hold, from one call to the next.

    A process that holds about as much as when it was asked last is not asked again: the kernel walks all of its pages
    for the answer, a millisecond for each process, and replicas that nobody asks anything hold the same for hours.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def look(self, leaders: Iterable[int], table: ProcessTable) -> dict[int, int]:
        """Return the bytes that each process and its descendants hold, as ``held_once`` does.

        Args:
            leaders: The process ids.
            table: The processes of this machine.
        """
        before, self._known = self._known, {}
        return {leader: sum(self._held(pid, table, before) for pid in table.tree(leader)) for leader in leaders}

    def _held(self, pid: int, table: ProcessTable, before: Mapping[int, tuple[int, int]]) -> int:
        resident = table.resident.get(pid, 0)
        then, held = before.get(pid, (0, 0))
        if abs(resident - then) > NOTICED * then:
            then, held = resident, _without_shared([pid]) if psutil.LINUX else resident
        self._known[pid] = then, held
        return held


def _without_shared(pids: Iterable[int]) -> int:
    """Return the bytes that processes hold, pages that several share counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().pss
    return total
