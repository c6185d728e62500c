"""Ends a container: kills every process of its session."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

_LOOKS, _PAUSE = 100, 0.01  # times, seconds: a killed process needs a moment to end


def end_session(leader: int) -> None:
    """Kill every process of a session, whatever process group the process is in.

    Args:
        leader: The process id of the session's leader, which may have ended already.
    """
    for _ in range(_LOOKS):  # a process may have started another one meanwhile
        if not _kill(leader):
            return
        time.sleep(_PAUSE)


def _kill(leader: int) -> bool:
    """Kill the processes that are in the session now. Return whether there were any."""
    found = False
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                os.kill(pid, signal.SIGKILL)
                found = True
    return found
