"""Admission: whether a request is let in, and which threads work on it.

The *predict* pool has ``threads_per_process`` threads, which belong to the predictor (its ``__init__`` runs on one of
them, so that with one thread everything of a framework stays on one thread, as in Cortex). Everything else (health,
descriptions, refusals) goes to the *control* pool, so that it is answered while every predictor thread is busy: a
load balancer takes a replica whose health check does not answer for a dead one.

Why requests are refused here, before they wait: a queue that only grows makes every answer late, and none of them
useful. ``max_replica_concurrency`` is the limit of the *replica*, whose workers share a count (``shared_state``). What
is over it is refused with 503 at once, so that a client or a load balancer can try elsewhere. A request whose client
said how long it waits (``deadlines``) is refused with 504 when that is over, without costing the predictor anything.

With server-side batching the predictor has a thread of its own, and a request takes two turns in the predict pool: its
payload is read and handed to the batcher, and when its batch has run it is answered. In between it holds no thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from cortex_serving.request_context import Exchange, Verdict
from cortex_serving.scheduling.deadlines import HEADER, Deadlines, Timer, deadline_of
from cortex_serving.scheduling.thread_pool import Task, ThreadPool
from cortex_serving.shared_state import Board, Slot


class Runner(Protocol):
    """Has tasks done by the predictor's threads."""

    def put(self, *tasks: Task) -> None:
        """Have tasks done."""

    def measured(self, seconds: float) -> None:
        """Note how long an answer took."""


class Admitted(Exchange):
    """A request that was let in; it leaves the count of requests in flight when it is answered.

    Whoever claims it decides what becomes of it: a thread that begins to work on it, the batch that takes it, or its
    deadline.
    """

    comes_last = False
    _timer: Timer | None = None
    _withdraw: tuple[Callable[[Any], None], Any] | None = None

    def __init__(self, arrived: float, deadline: float | None, channel: Any, admission: Admission) -> None:
        # What the base's own does, spelled out: a call less for every request.
        self.arrived = arrived
        self.deadline = deadline
        self.verdict = Verdict.ADMITTED
        self._channel = channel
        self._admission = admission

    def start_timer(self, deadlines: Deadlines) -> None:
        """Have the request refused at its deadline if it still waits."""
        assert self.deadline is not None
        self._timer = deadlines.at(self.deadline, self._expire)

    def claim(self) -> bool:
        """Whether the request may be worked on from here on; False if its time was up before, and it was refused."""
        if self._timer is None:
            return True
        if not self._timer.cancel():
            return False
        self._withdraw = None
        return True

    def service(self) -> None:
        """Answer the request (one whose outcome is known was claimed already)."""
        if self.deadline is not None and self.outcome is None and not self._claim_in_time(self.deadline):
            return
        start = time.perf_counter()
        try:
            self._channel.service()
        finally:
            self._admission.leave(time.perf_counter() - start)

    def _claim_in_time(self, deadline: float) -> bool:
        if not self.claim():
            return False
        if deadline > time.perf_counter():
            return True
        self._expire()  # who watches over deadlines may be late
        return False

    def when_expired(self, withdraw: Callable[[Any], None], part: Any) -> None:
        """Have ``withdraw(part)`` called if the request's time is up while a part of it waits elsewhere."""
        if self._timer is None:
            return
        self._withdraw = withdraw, part
        if self.verdict is Verdict.EXPIRED:  # meanwhile
            withdraw(part)

    def _expire(self) -> None:
        """Refuse the request, which is claimed by this, without costing the predictor anything."""
        self.verdict = Verdict.EXPIRED
        if self._withdraw is not None:
            withdraw, part = self._withdraw
            withdraw(part)
        # The pool's queue may hold this for as long as the predictor is busy, but not the connection and its buffers.
        channel, self._channel, self._withdraw = self._channel, None, None
        self._admission.refuse(channel)


class _Enlistment:
    """The first turn of a request that is to be predicted in a batch: its payload is read.

    Args:
        admitted: The request.
        channel: Its connection.
        enlist: Reads the payload, and hands it to the batcher.
        measured: Told how long that took.
    """

    __slots__ = ("_admitted", "_channel", "_enlist", "_measured", "_request")
    comes_last = False

    def __init__(
        self,
        admitted: Admitted,
        channel: Any,
        enlist: Callable[[Admitted], None],
        measured: Callable[[float], None],
    ) -> None:
        self._admitted = admitted
        self._channel = channel
        self._request = channel.requests[0]  # the channel may have moved on before this has its turn
        self._enlist = enlist
        self._measured = measured

    def service(self) -> None:
        """Enlist the request; it comes back when its outcome is known."""
        if self._admitted.verdict is Verdict.EXPIRED:
            return
        start = time.perf_counter()
        self._admitted.environ = self._channel.environment_of(self._request)
        self._enlist(self._admitted)
        self._measured(time.perf_counter() - start)


class Admission:
    """waitress's task dispatcher: takes connections whose first request is complete.

    Args:
        board: The replica's shared memory.
        slot: This worker's part of it.
        limit: Requests in flight in the whole replica above which new ones are refused (``max_replica_concurrency``).
        runner: Has admitted requests answered by the predictor's threads.
        control: Answers everything else.
        enlist: Reads a request's payload and hands it to the batcher; None without server-side batching.
    """

    def __init__(
        self,
        board: Board,
        slot: Slot,
        limit: int,
        *,
        runner: Runner,
        control: ThreadPool,
        enlist: Callable[[Admitted], None] | None,
    ) -> None:
        self._board = board
        self._slot = slot
        self._limit = limit
        self._alone = board.workers == 1
        self._runner = runner
        self._control = control
        self._enlist = enlist
        self._lock = threading.Lock()
        self._deadlines = Deadlines()

    def add_task(self, channel: Any) -> None:
        """Take a connection whose first request is complete (called by waitress)."""
        request = channel.requests[0]
        now = time.perf_counter()
        given = request.headers.get(HEADER)
        deadline = None if given is None else deadline_of(given, now)
        verdict = self._judge(request, deadline is not None and deadline <= now)
        if verdict is not Verdict.ADMITTED:
            request.exchange = Exchange(now, deadline, verdict)
            self._control.put(channel)
            return
        request.exchange = admitted = Admitted(now, deadline, channel, self)
        if deadline is not None:
            admitted.start_timer(self._deadlines)
        if self._enlist is None:
            self._runner.put(admitted)
        else:
            self._runner.put(_Enlistment(admitted, channel, self._enlist, self._runner.measured))

    def leave(self, seconds: float) -> None:
        """Count an admitted request out, which was answered in so many seconds."""
        with self._lock:
            self._slot.leave()
        self._runner.measured(seconds)

    def refuse(self, channel: Any) -> None:
        """Count an admitted request out, and have it answered with its verdict."""
        self._control.put(channel)
        with self._lock:
            self._slot.leave()

    def _judge(self, request: Any, expired: bool) -> Verdict:
        if request.error or request.command != "POST":
            return Verdict.CONTROL
        if not self._slot.ready:
            return Verdict.NOT_READY
        if expired:
            return Verdict.EXPIRED
        with self._lock:
            if self._alone:
                entered = self._slot.enter(self._limit)
            else:
                # Two workers that each read the sum and add one would let in one too many: they count one at a time.
                with self._board.counting():
                    entered = self._slot.enter(self._limit - self._board.in_flight + self._slot.in_flight)
        return Verdict.ADMITTED if entered else Verdict.OVER_LIMIT
