"""The thread that polled a request answers it, while answers come quickly.

Handing a request from the loop's thread to a predictor thread costs two thread switches, which for a quick predictor is
more than everything else. So a predictor thread *leads*: it runs the loop itself and answers what comes at once. The
main thread watches. When an answer takes longer than ``STEAL_AFTER`` the main thread takes the loop over, and
requests go through the queue; when answers are quick again, a predictor thread is asked to lead again.

At any time exactly one thread runs the loop: the leader, or the main thread where there is none. The leader changes
only under ``_lock``; it loses the loop only while it is answering, never during a turn of the loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from cortex_serving.server.joint_writes import QUICK, Send, Together

logger = logging.getLogger(__name__)

STEAL_AFTER = 0.02  # seconds that an answer may take before the main thread takes over
_SLOWEST = 5 * QUICK  # a thread leads while typical answers are quick
_OFFER_EVERY = 0.05
_IDLE_AFTER, _IDLE_SLEEP = 1.0, 0.05  # the watch is lazier when nothing happens
_SMOOTHING = 0.05
_POLL_SECONDS = 1.0


class Task(Protocol):
    """Something to work on.

    Attributes:
        comes_last: Whether responses that are ready shall not wait for it.
    """

    comes_last: bool

    def service(self) -> None:
        """Do it."""


class Lane(Protocol):
    """The predictor threads' queue."""

    def put(self, *tasks: Task) -> None:
        """Queue tasks."""

    def take(self) -> Task | None:
        """A queued task; None if none waits."""


class _Stint:
    """A thread's time as the leader.

    Attributes:
        answering: Since when it has been on one answer (``time.perf_counter``); None while it is not.
    """

    __slots__ = ("answering", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.answering: float | None = None


class Leader:
    """Decides who runs the loop.

    Args:
        turn: One turn of the loop, waiting for at most the given seconds.
        wake: Ends a wait in the loop, from any thread.
        lane: The predictor threads' queue.
        together: Responses that leave together; None sends each at once.
    """

    def __init__(
        self, turn: Callable[[float], None], wake: Callable[[], None], lane: Lane, together: Together | None
    ) -> None:
        self._turn = turn
        self._wake = wake
        self._lane = lane
        self._together = together
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stint: _Stint | None = None  # None: the main thread runs the loop
        self._claim: _Stint | None = None  # of a thread that waits for the main thread to let go
        self._offered = False
        self._stopping = False
        self._ready: deque[Task] = deque()  # what the leader does next
        self._last_answer = 0.0
        self._typical = 0.0

    def put(self, *tasks: Task) -> None:
        """Have tasks done by the predictor's threads: next by this one if it leads, else through the queue."""
        stint = self._stint
        if stint is not None and stint.thread == threading.get_ident() and self._keep(stint, tasks):
            return
        self._lane.put(*tasks)
        if self._stint is not None:  # asked again: a thread that leads since has looked into the queue before, or will
            self._wake()  # the leader may be the only thread of its lane, and wait for connections

    def _keep(self, stint: _Stint, tasks: tuple[Task, ...]) -> bool:
        """Keep tasks for the leader, which calls this; False if it leads no longer."""
        if stint.answering is None:  # nobody takes the loop from a thread that polls: no lock is needed
            self._ready.extend(tasks)
            return True
        with self._lock:
            if self._stint is not stint:
                return False
            self._ready.extend(tasks)
        return True

    def measured(self, seconds: float) -> None:
        """An answer took that long."""
        # One slow answer among quick ones (or a thread that the system held up) must not decide: it counts as _SLOWEST.
        if self._together is not None:
            self._together.measured(seconds)
        self._typical += ((seconds if seconds < _SLOWEST else _SLOWEST) - self._typical) * _SMOOTHING

    def hold(self, send: Send, data: bytes) -> bool:
        """Keep the leader's response until others leave with it; False if it is to be sent at once."""
        stint, together = self._stint, self._together
        if together is None or stint is None or not together.is_calm() or stint.thread != threading.get_ident():
            return False
        with self._lock:
            if self._stint is not stint:
                return False
            together.keep(send, data)
        return True

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
        """Give the loop to a thread that waits for it; True if the main thread runs the loop."""
        with self._lock:
            if self._stint is None and self._claim is not None:
                self._stint, self._claim = self._claim, None
                self._changed.notify_all()
            return self._stint is None

    def _watch(self) -> None:
        busy = time.perf_counter() - self._last_answer < _IDLE_AFTER
        with self._lock:
            if self._stint is not None:
                self._changed.wait(STEAL_AFTER if busy else _IDLE_SLEEP)
            since = self._stint.answering if self._stint is not None else None
            if since is not None and time.perf_counter() - since > STEAL_AFTER:
                self._end_stint()

    def _end_stint(self) -> None:
        """The main thread runs the loop from here; what the leader had still to do is for any thread."""
        self._stint = None
        if self._together is not None:
            self._together.send()
        while (task := self._next_ready()) is not None:
            self._lane.put(task)
        self._changed.notify_all()

    def _take_back(self) -> None:
        with self._lock:
            self._stopping = True
            self._changed.notify_all()
            while self._stint is not None:
                self._wake()
                if self._stint.answering is not None:
                    self._end_stint()
                else:
                    self._changed.wait(0.01)

    def accept_offer(self) -> None:
        """Lead, on the calling thread, until the loop is lost."""
        stint = _Stint()
        with self._lock:
            self._offered = False
            if self._stint is not None or self._claim is not None or self._stopping:
                return
            self._claim = stint
        self._wake()
        with self._lock:
            while self._stint is not stint and not self._stopping:
                self._changed.wait()
            if self._stint is not stint:
                self._claim = None
                return
        self._lead(stint)

    def _lead(self, stint: _Stint) -> None:
        try:
            self._answer(stint)  # what was queued before
            while self._still_leads(stint):
                if self._stopping or self._typical >= QUICK:
                    return
                self._turn(_POLL_SECONDS)
                self._answer(stint)
        finally:
            with self._lock:
                if self._stint is stint:
                    self._end_stint()

    def _still_leads(self, stint: _Stint) -> bool:
        """Whether the thread still leads; then nobody takes the loop from it before its next answer.

        Responses that waited have left then, sent by this thread or by the one that took the loop.
        """
        with self._lock:
            stint.answering = None
            leads = self._stint is stint
        if leads and self._together is not None:
            self._together.send()
        return leads

    def _answer(self, stint: _Stint) -> None:
        """Do what the turn brought, and what others have queued meanwhile: no other thread may be there to do it."""
        together = self._together
        while (task := self._next()) is not None:
            now = time.perf_counter()
            if together is not None and together.is_due(now, comes_last=task.comes_last):
                self._still_leads(stint)
            stint.answering = self._last_answer = now
            try:
                task.service()
            except Exception:
                logger.exception("unexpected error while serving")
            if self._stint is not stint or self._typical >= QUICK:
                return

    def _next(self) -> Task | None:
        return self._next_ready() or self._lane.take()

    def _next_ready(self) -> Task | None:
        """What the leader does next; no lock is held where the leader and the thread that takes the loop both ask."""
        if not self._ready:
            return None
        try:
            return self._ready.popleft()
        except IndexError:  # the other one was quicker
            return None


class _Offer:
    """Asks a predictor thread to lead."""

    comes_last = False

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

    def hold(self, send: Send, data: bytes) -> bool:
        """Never: no thread knows what comes next."""
        return False

    def run(self, until: Callable[[], bool], can_lead: Callable[[], bool], every_second: Callable[[], None]) -> None:
        """Run the loop until told to stop."""
        next_second = 0.0
        while not until():
            if time.monotonic() >= next_second:
                next_second = time.monotonic() + 1
                every_second()
            self._turn(_POLL_SECONDS)
