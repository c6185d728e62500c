"""Slows a container down, as a busy neighbour on its instance would: it runs for a part of the time only."""

from __future__ import annotations

import signal
import threading

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.containers.sessions import signal_session

RUNS_S, STANDS_S = 0.2, 1.3
"""Seconds that the container runs and stands still, in turns. Health checks, which wait for five, go on passing."""


class Throttle:
    """A thread that lets all processes of a container stand still again and again. At its end they run on.

    Args:
        leader: The process id of the container's leader.
        until: When the throttle ends, in seconds since the epoch.
    """

    def __init__(self, leader: int, until: float) -> None:
        self._leader = leader
        self._until = until
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="throttle", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let the container run on."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while steady_clock.now() < self._until and not self._ended.is_set():
                signal_session(self._leader, signal.SIGSTOP)
                self._ended.wait(STANDS_S)
                signal_session(self._leader, signal.SIGCONT)
                self._ended.wait(RUNS_S)
        finally:
            signal_session(self._leader, signal.SIGCONT)
