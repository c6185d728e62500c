"""Tells whether a container holds more memory than its limit.

On an instance, the kernel kills a container at the moment in which it exceeds the limit of its control group. An
ordinary user cannot count on having control groups. So ``driver`` looks at every container twice a second, and
``process`` kills a container that has exceeded its limit, with the reason that the ECS agent would give.
"""

from __future__ import annotations

import contextlib

import psutil


def is_exceeded(leader: psutil.Process, limit: int) -> bool:
    """Return whether a process and its descendants hold more than ``limit`` bytes."""
    # Forked workers share pages, and a control group counts those once. Asking for that takes long, and is seldom due.
    return _held(leader, "rss") > limit and _held(leader, "pss") > limit


def _held(leader: psutil.Process, kind: str) -> int:
    """Return the bytes that a process and its descendants hold.

    Args:
        leader: The process.
        kind: ``rss``, or ``pss`` to count shared pages once (as ``rss`` where the system does not tell).
    """
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in [leader, *leader.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                if kind == "pss" and psutil.LINUX:
                    total += process.memory_full_info().pss
                else:
                    total += process.memory_info().rss
    return total
