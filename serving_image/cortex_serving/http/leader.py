"""The thread that polled a request answers it, while answers come quickly.

Handing a request from the loop's thread to a predictor thread costs two thread switches, which for a quick predictor is
more than everything else. So a predictor thread *leads*: it runs the loop itself and answers what comes at once. The
main thread watches. When an answer takes longer than ``STEAL_AFTER`` the main thread takes the loop over, and
requests go through the queue; when answers are quick again, a predictor thread is asked to lead again.

At any time exactly one thread runs the loop: its owner, the main thread where there is no other. The owner changes
only under ``_state``; a leader loses the loop only while it is answering, never during a turn of the loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger(__name__)

STEAL_AFTER = 0.02  # seconds that an answer may take before the main thread takes over
QUICK = 0.001  # seconds: a thread leads while typical answers take less
_SLOWEST = 5 * QUICK
_OFFER_EVERY = 0.05
_IDLE_AFTER, _IDLE_SLEEP = 1.0, 0.05  # the watch is lazier when nothing happens
_SMOOTHING = 0.05
_POLL_SECONDS = 1.0


class Task(Protocol):
    """Something to work on."""

    def service(self) -> None:
        """Do it."""


class Lane(Protocol):
    """The predictor threads' queue."""

    def put(self, *tasks: Task) -> None:
        """Queue tasks."""

    def take(self) -> Task | None:
        """A queued task; None if none waits."""


class Leader:
    """Decides who runs the loop.

    Args:
        turn: One turn of the loop, waiting for at most the given seconds.
        wake: Ends a wait in the loop, from any thread.
        lane: The predictor threads' queue.
    """

    def __init__(self, turn: Callable[[float], None], wake: Callable[[], None], lane: Lane) -> None:
        self._turn = turn
        self._wake = wake
        self._lane = lane
        self._state = threading.Condition(threading.Lock())
        self._owner: int | None = None  # thread that leads; None: the main thread runs the loop
        self._claim: int | None = None  # thread that waits for the main thread to let go
        self._offered = False
        self._stopping = False
        self._ready: deque[Task] = deque()
        self._answering: float | None = None  # since when the leader has been on one answer
        self._last_answer = 0.0
        self._typical = 0.0

    def put(self, *tasks: Task) -> None:
        """Have tasks done by the predictor's threads: next by this one if it leads, else through the queue."""
        owner = self._owner
        if owner is not None and owner == threading.get_ident():
            self._ready.extend(tasks)
            return
        self._lane.put(*tasks)
        if owner is not None:
            self._wake()  # the leader may be the only thread of its lane, and wait for connections

    def measured(self, seconds: float) -> None:
        """An answer took that long."""
        # One slow answer among quick ones (or a thread that the system held up) must not decide: it counts as _SLOWEST.
        self._typical += (min(seconds, _SLOWEST) - self._typical) * _SMOOTHING

    def run(self, until: Callable[[], bool], can_lead: Callable[[], bool], every_second: Callable[[], None]) -> None:
        """Run the loop or watch over its leader, on the main thread.

        Args:
            until: Whether to stop.
            can_lead: Whether a predictor thread may lead at all (the predictor is built).
            every_second: Called about once a second.
        """
        next_offer = next_second = 0.0
        while not until():
            now = time.monotonic()
            if now >= next_second:
                next_second = now + 1
                every_second()
            if self._let_go_or_own():
                self._turn(_POLL_SECONDS)
                if not self._offered and now >= next_offer and self._typical < QUICK and can_lead():
                    next_offer = now + _OFFER_EVERY
                    self._offered = True
                    self._lane.put(_Offer(self))
            else:
                self._watch()
        self._take_back()

    def _let_go_or_own(self) -> bool:
        """Give the loop to a thread that waits for it; True if the main thread owns the loop."""
        with self._state:
            if self._owner is None and self._claim is not None:
                self._owner, self._claim = self._claim, None
                self._state.notify_all()
            return self._owner is None

    def _watch(self) -> None:
        busy = time.perf_counter() - self._last_answer < _IDLE_AFTER
        with self._state:
            if self._owner is not None:
                self._state.wait(STEAL_AFTER if busy else _IDLE_SLEEP)
            since = self._answering
            if since is not None and self._owner is not None and time.perf_counter() - since > STEAL_AFTER:
                self._disown()

    def _disown(self) -> None:
        """The main thread owns the loop from here; what the leader had still to answer is for any thread."""
        self._owner = None
        self._answering = None
        while self._ready:
            self._lane.put(self._ready.popleft())
        self._state.notify_all()

    def _take_back(self) -> None:
        with self._state:
            self._stopping = True
            self._state.notify_all()
            while self._owner is not None:
                self._wake()
                if self._answering is not None:
                    self._disown()
                else:
                    self._state.wait(0.01)

    def accept_offer(self) -> None:
        """Lead, on the calling thread, until the loop is lost."""
        me = threading.get_ident()
        with self._state:
            self._offered = False
            if self._owner is not None or self._claim is not None or self._stopping:
                return
            self._claim = me
        self._wake()
        with self._state:
            while self._owner != me and not self._stopping:
                self._state.wait()
            if self._owner != me:
                self._claim = None
                return
        self._lead(me)

    def _lead(self, me: int) -> None:
        try:
            while not self._stopping:
                # What was queued before this thread led comes first: nobody else may be there to do it.
                while (task := self._next()) is not None:
                    if not self._answer(task, me):
                        return
                self._turn(_POLL_SECONDS)
        finally:
            with self._state:
                if self._owner == me:
                    self._disown()

    def _next(self) -> Task | None:
        try:
            return self._ready.popleft()
        except IndexError:
            return self._lane.take()

    def _answer(self, task: Task, me: int) -> bool:
        """Work on a task; False if the loop was lost meanwhile, or is given up because answers are slow."""
        self._answering = self._last_answer = time.perf_counter()
        try:
            task.service()
        except Exception:
            logger.exception("unexpected error while serving")
        finally:
            with self._state:
                mine = self._owner == me
                if mine:  # else it is about the answer of another thread, which leads by now
                    self._answering = None
        return mine and self._typical < QUICK


class _Offer:
    """Asks a predictor thread to lead."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader

    def service(self) -> None:
        """Lead."""
        self._leader.accept_offer()


class MainThreadOnly:
    """The same face without leading: the main thread runs the loop, the queue has the tasks."""

    def __init__(self, turn: Callable[[float], None], lane: Lane) -> None:
        self._turn = turn
        self.put = lane.put

    def measured(self, seconds: float) -> None:
        """Nothing to decide."""

    def run(self, until: Callable[[], bool], can_lead: Callable[[], bool], every_second: Callable[[], None]) -> None:
        """Run the loop until told to stop."""
        next_second = 0.0
        while not until():
            if time.monotonic() >= next_second:
                next_second = time.monotonic() + 1
                every_second()
            self._turn(_POLL_SECONDS)
