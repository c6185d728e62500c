"""The end of a container: of every process in it."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

_LOOKS, _PAUSE = 100, 0.01  # times, seconds: a process that is killed needs a moment, too


def end_session(leader: int) -> None:
    """Kill every process of a session, whatever process group it has put itself into.

    Args:
        leader: The process id of the session's leader, which may have ended already.
    """
    for _ in range(_LOOKS):  # one of them may have started another meanwhile
        if not _kill(leader):
            return
        time.sleep(_PAUSE)


def _kill(leader: int) -> bool:
    """Kill who is in the session now; whether there was anybody."""
    found = False
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                os.kill(pid, signal.SIGKILL)
                found = True
    return found
