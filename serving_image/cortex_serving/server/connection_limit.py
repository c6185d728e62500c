"""How many connections a worker keeps: fewer than it may have files open, so that the predictor has some, too."""

from __future__ import annotations

import contextlib
import resource

_MOST = 10_000
_MOST_FILES = 16_384
_FILES_OF_PREDICTOR = 4  # of all files that a process may have open, connections leave one in so many


def raise_file_limit() -> None:
    """Allow this process as many open files as its container allows; containers begin with few (1024)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit() -> int:
    """Most connections of this process at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(1, min(_MOST, files - files // _FILES_OF_PREDICTOR))
