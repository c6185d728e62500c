"""Streams that were parked, as their client did not take them, and go on: they wait for a predictor thread again.

A parked stream may hold a lock of the predictor's (``with lock: yield``), for which the predictor's threads wait: then
none of them ever takes the stream. So a stream that no thread has taken for long is ended by a thread of its own, which
runs the cleanup of the generator only.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

from cortex_serving.scheduling.deadlines import Deadlines

PATIENCE = 5  # times the client's own: a predictor may be busy for minutes, and loses no stream by that

logger = logging.getLogger(__name__)


class Stream(Protocol):
    """A request whose answer is a stream."""

    def work(self) -> None:
        """Go on with the stream, until its end or until it is parked again."""

    def cut(self) -> None:
        """Have the stream end with its next turn."""


class Continuation:
    """The next turn of a parked stream, as a task of the predictor's threads.

    Args:
        stream: The stream.
        deadlines: Watches over the wait.
        seconds: How long it waits for a thread before it is ended.
    """

    __slots__ = ("_stream", "_timer")
    comes_last = False

    def __init__(self, stream: Stream, deadlines: Deadlines, seconds: float) -> None:
        self._stream = stream
        self._timer = deadlines.at(time.perf_counter() + seconds, self._rescue)

    def service(self) -> None:
        """Go on with the stream, unless its time is over."""
        if self._timer.cancel():
            self._stream.work()

    def _rescue(self) -> None:
        threading.Thread(target=self._end, name="end of stream", daemon=True).start()

    def _end(self) -> None:
        logger.warning(
            "a stream is ended, as no thread of the predictor has been free for it: if predict holds a lock while it "
            "yields, other requests wait for the lock; let go of the lock before yield"
        )
        self._stream.cut()
        self._stream.work()
