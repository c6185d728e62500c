"""Keeps the daemon's memory near what it uses.

The state is copied every few seconds, by several threads, into blocks of megabytes. glibc learns from the first freed
one to take the next ones from heaps, of which each thread may get its own, and where small objects between them keep
what was freed from the system: twice the memory after an hour, though nothing is kept.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD = 128 * 1024
HEAPS = 2
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""mallopt(3)."""


def give_large_blocks_back() -> None:
    """Have large blocks given back to the system when they are freed, where the C library is glibc.

    Call this before threads are started.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # A threshold that was set stays: glibc learns no more.
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        mallopt(_M_ARENA_MAX, HEAPS)
