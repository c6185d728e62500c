"""Leader and followers: the thread that polled a request answers it, while answers come quickly.

Why: handing a request from the loop's thread to a predictor thread costs two thread switches, which for a quick
predictor is more than everything else (71 instead of 43 us a request, ``benchmarks/serving/RESULTS.md``). So a
predictor thread *leads*: it runs the event loop itself and answers what comes, at once.

Why not always: while a leader is on one answer nobody polls, so that health checks and other clients would wait for a
slow predictor. The main thread watches. When an answer takes longer than ``STEAL_AFTER`` the main thread takes the loop
over, and requests go through the queue of the thread pool; when answers are quick again, a predictor thread is asked to
lead again. (The pattern is that of Schmidt et al., Leader/Followers, 2000, with one difference: there a follower is
promoted before the leader works on its event, which is the thread switch that is to be spared here.)

The rules that keep this right:

1. At any time exactly one thread runs the loop: the leader, or the main thread where there is none (``_term`` is None).
2. The leader changes only under ``_lock``. It loses the loop only while it is answering (``_Term.answering``), never
   during a turn of the loop. So what the leader does during a turn needs no lock.
3. What a thread does *while it answers* on the grounds that it leads (to keep a task or a response for later) it does
   under ``_lock``, and only if it still leads: the loop may be taken from it between any two steps, and what it kept
   then would be forgotten.
4. Who takes the loop takes with it what the leader has kept: responses are sent, tasks go to the pool.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Protocol

from cortex_serving.scheduling.thread_pool import Task, ThreadPool
from cortex_serving.server.event_loop import EpollLoop, Loop
from cortex_serving.server.joint_writes import QUICK, JointWrites, Send

logger = logging.getLogger(__name__)

STEAL_AFTER = 0.02  # seconds that an answer may take before the main thread takes over; a busy machine needs that much
_SLOWEST = 5 * QUICK  # one slow answer among quick ones must not decide: it counts as this much
_SMOOTHING = 0.05  # weight of the newest answer in the typical one
_OFFER_EVERY = 0.05  # seconds
_IDLE_AFTER, _IDLE_SLEEP = 1.0, 0.05  # seconds; the watch is lazier when nothing happens
_POLL_SECONDS = 1.0
_CALL_EVERY = 0.5  # seconds, and the poll that is under way


class Runner(Protocol):
    """Runs the event loop, and decides which thread answers."""

    def run(self, until: Callable[[], bool], can_lead: Callable[[], bool], often: Callable[[], None]) -> None:
        """Run the loop, or have it run, on the main thread."""

    def put(self, *tasks: Task) -> None:
        """Have tasks done by the predictor's threads."""

    def measured(self, seconds: float) -> None:
        """Note how long an answer took."""

    def hold(self, send: Send, data: bytes) -> bool:
        """Keep a response until others leave with it; False if it is to be sent at once."""


class _Term:
    """A thread's time as the leader.

    Attributes:
        thread: The thread's identifier.
        answering: Since when it has been on one answer (``time.perf_counter``); None while it polls.
    """

    __slots__ = ("answering", "thread")

    def __init__(self) -> None:
        self.thread = get_ident()
        self.answering: float | None = None


class LeaderFollower:
    """Runs the loop on a predictor thread while answers are quick, and on the main thread while they are not.

    Args:
        loop: The event loop.
        pool: The predictor's threads.
        after_task: Called after each task, by its thread.
    """

    def __init__(self, loop: Loop, pool: ThreadPool, after_task: Callable[[], None]) -> None:
        self._loop = loop
        self._pool = pool
        self._after_task = after_task
        self._held = JointWrites()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._term: _Term | None = None  # None: the main thread runs the loop
        self._claim: _Term | None = None  # of a thread that waits for the main thread to let go
        self._offered = False
        self._stopping = False
        self._ready: deque[Task] = deque()  # what the leader does next
        self._last_answer = 0.0
        self._typical = 0.0  # seconds that an answer takes

    # From any thread

    def put(self, *tasks: Task) -> None:
        """Have tasks done by the predictor's threads: next by this one if it leads, else through the pool's queue."""
        term = self._term
        if term is not None and term.thread == get_ident():
            if term.answering is None:  # during a turn: rule 2
                self._ready.extend(tasks)
                return
            if self._keep(term, tasks):
                return
        self._pool.put(*tasks)
        # Asked after the tasks are in the queue: who begins to lead after this looks into the queue first.
        if self._term is not None:
            self._loop.wake()  # the leader may be the only thread of its pool, and wait for connections

    def _keep(self, term: _Term, tasks: tuple[Task, ...]) -> bool:
        """Keep tasks for the leader, which calls this while it answers; False if it leads no longer (rule 3)."""
        with self._lock:
            if self._term is not term:
                return False
            self._ready.extend(tasks)
        return True

    def measured(self, seconds: float) -> None:
        """Note how long an answer took."""
        self._held.measured(seconds)
        self._typical += ((seconds if seconds < _SLOWEST else _SLOWEST) - self._typical) * _SMOOTHING

    def hold(self, send: Send, data: bytes) -> bool:
        """Keep the leader's response until others leave with it.

        Args:
            send: Sends the response.
            data: The response.

        Returns:
            False if the response is to be sent at once, by the caller.
        """
        term = self._term
        if term is None or not self._held.is_calm() or term.thread != get_ident():
            return False
        with self._lock:
            if self._term is not term:
                return False
            self._held.keep(send, data)
        return True

    # On the main thread

    def run(self, until: Callable[[], bool], can_lead: Callable[[], bool], often: Callable[[], None]) -> None:
        """Run the loop or watch over its leader, on the main thread.

        Args:
            until: Whether to stop.
            can_lead: Whether a predictor thread may lead at all (the predictor is built).
            often: Called at least each one and a half seconds.
        """
        next_offer = next_call = 0.0
        while not until():
            now = time.monotonic()
            if now >= next_call:
                next_call = now + _CALL_EVERY
                often()
            if self._let_go_or_own():
                self._loop.turn(_POLL_SECONDS)
                if not self._offered and now >= next_offer and self._typical < QUICK and can_lead():
                    next_offer = now + _OFFER_EVERY
                    self._offered = True
                    self._pool.put(_Offer(self))
            else:
                self._watch()
        self._take_back()

    def _let_go_or_own(self) -> bool:
        """Give the loop to a thread that waits for it; True if the main thread runs the loop."""
        with self._lock:
            if self._term is None and self._claim is not None:
                self._term, self._claim = self._claim, None
                self._changed.notify_all()
            return self._term is None

    def _watch(self) -> None:
        """Wait a moment; then take the loop if the leader has been on one answer for too long."""
        busy = time.perf_counter() - self._last_answer < _IDLE_AFTER
        with self._lock:
            if self._term is not None:
                self._changed.wait(STEAL_AFTER if busy else _IDLE_SLEEP)
            since = self._term.answering if self._term is not None else None
            if since is not None and time.perf_counter() - since > STEAL_AFTER:
                self._end_term()

    def _end_term(self) -> None:
        """Have the main thread run the loop from here on (the caller holds the lock); rule 4."""
        self._term = None
        self._held.send()
        while (task := self._next_kept()) is not None:
            self._pool.put(task)
        self._changed.notify_all()

    def _take_back(self) -> None:
        """End the last term: the server stops."""
        with self._lock:
            self._stopping = True
            self._changed.notify_all()
            while self._term is not None:
                self._loop.wake()
                if self._term.answering is not None:
                    self._end_term()
                else:
                    self._changed.wait(0.01)

    # On a predictor thread

    def accept_offer(self) -> None:
        """Lead, on the calling thread, until the loop is lost."""
        term = _Term()
        with self._lock:
            self._offered = False
            if self._term is not None or self._claim is not None or self._stopping:
                return
            self._claim = term
        self._loop.wake()  # the main thread, which may wait for connections for a while
        with self._lock:
            while self._term is not term and not self._stopping:
                self._changed.wait()
            if self._term is not term:
                self._claim = None
                return
        self._lead(term)

    def _lead(self, term: _Term) -> None:
        try:
            self._answer(term)  # what was queued before
            while self._still_leads(term):
                if self._stopping or self._typical >= QUICK:
                    return
                self._loop.turn(_POLL_SECONDS)
                self._answer(term)
        finally:
            with self._lock:
                if self._term is term:
                    self._end_term()

    def _still_leads(self, term: _Term) -> bool:
        """Whether the thread still leads; then nobody takes the loop from it before its next answer.

        Responses that waited have left then, sent by this thread or by the one that took the loop.
        """
        with self._lock:
            term.answering = None
            leads = self._term is term
        if leads:
            self._held.send()
        return leads

    def _answer(self, term: _Term) -> None:
        """Do what the turn brought, and what others have queued meanwhile: no other thread may be there to do it."""
        held = self._held
        while (task := self._next_kept() or self._pool.take()) is not None:
            now = time.perf_counter()
            if held.is_due(now, task.comes_last):
                self._still_leads(term)
            term.answering = self._last_answer = now
            try:
                task.service()
            except Exception:
                logger.exception("unexpected error while serving")
            self._after_task()
            if self._term is not term or self._typical >= QUICK:
                return

    def _next_kept(self) -> Task | None:
        """A task that was kept for the leader. No lock: the leader and the thread that takes the loop may both ask."""
        if not self._ready:
            return None
        try:
            return self._ready.popleft()
        except IndexError:  # the other one was quicker
            return None


class _Offer:
    """Asks a predictor thread to lead.

    Args:
        runner: The thread leads for it.
    """

    comes_last = False

    def __init__(self, runner: LeaderFollower) -> None:
        self._runner = runner

    def service(self) -> None:
        """Lead."""
        self._runner.accept_offer()


class MainThreadOnly:
    """Runs the loop on the main thread; the thread pool has the tasks.

    Args:
        loop: The event loop.
        pool: The predictor's threads.
    """

    def __init__(self, loop: Loop, pool: ThreadPool) -> None:
        self._loop = loop
        self._pool = pool

    def put(self, *tasks: Task) -> None:
        """Queue tasks."""
        self._pool.put(*tasks)

    def measured(self, seconds: float) -> None:
        """Nothing to decide."""

    def hold(self, send: Send, data: bytes) -> bool:
        """Never: no thread knows what comes next."""
        return False

    def run(self, until: Callable[[], bool], can_lead: Callable[[], bool], often: Callable[[], None]) -> None:
        """Run the loop until told to stop."""
        next_call = 0.0
        while not until():
            if time.monotonic() >= next_call:
                next_call = time.monotonic() + _CALL_EVERY
                often()
            self._loop.turn(_POLL_SECONDS)


def make_runner(loop: Loop, pool: ThreadPool, after_task: Callable[[], None]) -> Runner:
    """The runner for a loop: only epoll's may pass from thread to thread, as waitress's makes lists of its own."""
    return LeaderFollower(loop, pool, after_task) if isinstance(loop, EpollLoop) else MainThreadOnly(loop, pool)
