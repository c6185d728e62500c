"""Signals every process of a container's session, and ends the session."""

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
        if not signal_session(leader, signal.SIGKILL):
            return
        time.sleep(_PAUSE)


def signal_session(leader: int, number: signal.Signals) -> bool:
    """Send a signal to every process that is in a session now. Return whether there were any.

    Args:
        leader: The process id of the session's leader.
        number: The signal.
    """
    found = False
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                os.kill(pid, number)
                found = True
    return found
