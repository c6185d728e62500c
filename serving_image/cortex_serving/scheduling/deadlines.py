"""Clients' deadlines (``X-Cortex-Timeout-Ms``): a request that still waits when its time is up gets its 504 at once."""

from __future__ import annotations

import heapq
import itertools
import re
import threading
import time
from collections.abc import Callable

from cortex_serving.contract import BALANCER_IDLE_TIMEOUT_S, TIMEOUT_HEADER

HEADER = TIMEOUT_HEADER.upper().replace("-", "_")  # as waitress spells names
_MILLISECONDS = re.compile(r"-?[0-9]{1,9}(\.[0-9]+)?")  # what a client has left of a time of its own may be all of this
_FEWEST_TO_SWEEP = 100  # cancelled timers that stay in the heap in any case, as in asyncio


def deadline_of(milliseconds: str, arrived: float) -> float | None:
    """When a request's time is up.

    Args:
        milliseconds: The header's value.
        arrived: When the request had arrived (``time.perf_counter``).

    Returns:
        ``time.perf_counter`` at the deadline; None if the client said none clearly. The load balancer answers in the
        replica's place after its idle timeout: nothing waits for longer than that.
    """
    if _MILLISECONDS.fullmatch(milliseconds) is None:
        return None
    return arrived + min(float(milliseconds) / 1000, BALANCER_IDLE_TIMEOUT_S)


class Timer:
    """A function that is to be called at a time, unless it is cancelled before.

    Args:
        action: The function.
        cancelled: Told once when the timer is cancelled.
    """

    __slots__ = ("_actions", "_cancelled")

    def __init__(self, action: Callable[[], None], cancelled: Callable[[], None]) -> None:
        # Popping is atomic: one gets the action, who cancels or who calls it. Nothing holds the action after that.
        self._actions = [action]
        self._cancelled = cancelled

    @property
    def is_pending(self) -> bool:
        """Whether the function may still be called."""
        return bool(self._actions)

    def cancel(self) -> bool:
        """Have the function not called; False if it is too late, or was done before."""
        try:
            self._actions.pop()
        except IndexError:
            return False
        self._cancelled()
        return True

    def call(self) -> None:
        """Call the function, unless the timer was cancelled."""
        try:
            action = self._actions.pop()
        except IndexError:
            return
        action()


class Deadlines:
    """Calls functions when their time comes, on a thread of its own, which is started with the first one.

    Requests are answered long before their deadlines, which clients choose (up to 11.5 days): what is cancelled leaves
    the heap, at the latest when it is half of it. So a timer costs O(log n), cancelling it O(1) on average.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._cancelled = 0  # timers in the heap, roughly: a timer may be cancelled while it is taken out
        self._started = False

    def __len__(self) -> int:
        """Timers in the heap, cancelled ones included."""
        return len(self._heap)

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Have a function called.

        Args:
            when: The time (``time.perf_counter``).
            action: The function; called once, quickly.
        """
        timer = Timer(action, self._note_cancelled)
        with self._changed:
            entry = (when, next(self._order), timer)
            heapq.heappush(self._heap, entry)
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="deadlines", daemon=True).start()
            elif self._heap[0] is entry:
                self._changed.notify()
        return timer

    def _note_cancelled(self) -> None:
        with self._changed:
            self._cancelled += 1
            if self._cancelled > max(_FEWEST_TO_SWEEP, len(self._heap) // 2):
                self._heap = [entry for entry in self._heap if entry[2].is_pending]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _run(self) -> None:
        while True:
            self._next_due().call()

    def _next_due(self) -> Timer:
        """The next timer whose time has come; waits for it."""
        with self._changed:
            while not self._heap or self._heap[0][0] > time.perf_counter():
                self._changed.wait(self._heap[0][0] - time.perf_counter() if self._heap else None)
            timer = heapq.heappop(self._heap)[2]
            if not timer.is_pending:
                self._cancelled -= 1
            return timer
