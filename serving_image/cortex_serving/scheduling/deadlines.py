"""Clients' deadlines (``X-Cortex-Timeout-Ms``): a request that still waits when its time is up gets its 504 at once."""

from __future__ import annotations

import heapq
import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping

from cortex_serving.contract import TIMEOUT_HEADER

_HEADER = TIMEOUT_HEADER.upper().replace("-", "_")  # as waitress spells names
_MILLISECONDS = re.compile(r"-?[0-9]{1,9}(\.[0-9]+)?")  # what a client has left of a time of its own may be all of this


def deadline_of(headers: Mapping[str, str], arrived: float) -> float | None:
    """When a request's time is up (``time.perf_counter``); None if its client did not say, or not clearly."""
    text = headers.get(_HEADER)
    if text is None:
        return None
    if not _MILLISECONDS.fullmatch(text):
        return None
    return arrived + float(text) / 1000


class Deadlines:
    """Calls functions when their time comes; the thread is started with the first one."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._started = False

    def at(self, when: float, function: Callable[[], None]) -> None:
        """Have a function called at a time (``time.perf_counter``)."""
        with self._changed:
            heapq.heappush(self._heap, (when, next(self._order), function))
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="deadlines", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap or self._heap[0][0] > time.perf_counter():
                    self._changed.wait(self._heap[0][0] - time.perf_counter() if self._heap else None)
                function = heapq.heappop(self._heap)[2]
            function()
