"""Admission: whether a request is let in, and which threads work on it.

The *predict* pool has ``threads_per_process`` threads, which belong to the predictor (its ``__init__`` runs on one of
them, so that with one thread everything of a framework stays on one thread, as in Cortex). Everything else (health,
descriptions, refusals) goes to the *control* pool, so that it is answered while every predictor thread is busy: a
load balancer takes a replica whose health check does not answer for a dead one.

Why requests are refused here, before they wait: a queue that only grows makes every answer late, and none of them
useful. ``max_replica_concurrency`` is the limit of the *replica*, whose workers share a count (``shared_state``). What
is over it is refused with 503 at once, so that a client or a load balancer can try elsewhere. A request whose client
said how long it waits (``deadlines``) is refused with 504 when that is over, without costing the predictor anything.
A request whose client goes away while the request waits is dropped, and costs the predictor nothing either.

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
from cortex_serving.scheduling.parked_streams import PATIENCE, Continuation
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

    Whoever claims it decides what becomes of it: a thread that begins to work on it, the batch that takes it, its
    deadline, or the end of its connection.
    """

    comes_last = False
    can_park = True
    _timer: Timer | None = None
    _withdraw: tuple[Callable[[Any], None], Any] | None = None

    def __init__(self, arrived: float, deadline: float | None, channel: Any, admission: Admission) -> None:
        # What the base's own does, spelled out: a call less for every request.
        self.arrived = arrived
        self.deadline = deadline
        self.verdict = Verdict.ADMITTED
        self._channel = channel
        self._admission = admission
        self._unclaimed = [True]  # popping is atomic: one thread gets it

    def start_timer(self, deadlines: Deadlines) -> None:
        """Have the request refused at its deadline if it still waits."""
        assert self.deadline is not None
        self._timer = deadlines.at(self.deadline, self._expire)

    @property
    def waits(self) -> bool:
        """Whether nobody has claimed the request yet."""
        return bool(self._unclaimed)

    def claim(self) -> bool:
        """Whether the request may be worked on from here on; False if it was refused or abandoned before."""
        taken = self._take()
        if taken:
            self._withdraw = None
        return taken

    def _take(self) -> bool:
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        if self._timer is not None:
            self._timer.cancel()
        return True

    def service(self) -> None:
        """Answer the request (one whose outcome is known was claimed already)."""
        if self.outcome is None and not self._take():
            return
        if not self._channel.connected:
            self._give_up(Verdict.ABANDONED)
            return
        if self.deadline is not None and self.deadline <= time.perf_counter() and self.outcome is None:
            self._give_up(Verdict.EXPIRED)  # who watches over deadlines may be late
            return
        self.work()

    def work(self) -> None:
        """Answer the request, or go on with its stream."""
        start = time.perf_counter()
        done = True
        try:
            done = self._channel.service()
        finally:
            self._admission.worked(time.perf_counter() - start, done=done)

    def resume(self, *, connected: bool) -> None:
        """Have a predictor thread go on with a stream that was parked (from any thread)."""
        self._admission.go_on(self, connected=connected)

    def cut(self) -> None:
        """Have a stream that is parked end with its next turn."""
        self.stream.cut = True

    def when_given_up(self, withdraw: Callable[[Any], None], part: Any) -> None:
        """Have ``withdraw(part)`` called if the request is refused or abandoned while a part of it waits elsewhere."""
        self._withdraw = withdraw, part
        if self.verdict is not Verdict.ADMITTED:  # meanwhile
            self._withdraw = None
            withdraw(part)

    def abandon(self) -> None:
        """Drop the request if it waits: its connection has ended (from any thread)."""
        if self._take():
            self._give_up(Verdict.ABANDONED)

    def _expire(self) -> None:
        if self._take():
            self._give_up(Verdict.EXPIRED)

    def _give_up(self, verdict: Verdict) -> None:
        """Refuse or drop the request, which is claimed by the caller, without costing the predictor anything."""
        self.verdict = verdict
        if self._withdraw is not None:
            withdraw, part = self._withdraw
            withdraw(part)
        # The pool's queue may hold this for as long as the predictor is busy, but not the connection and its buffers.
        channel, self._channel, self._withdraw, self.outcome = self._channel, None, None, None
        if verdict is Verdict.EXPIRED:
            self._admission.refuse(channel)
        else:
            self.environ = None
            self._admission.drop(self, channel)


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
        if not self._admitted.waits:
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
        abandoned: Told about a request whose client has gone, and its headers as waitress keeps them.
        client_timeout: Seconds that a client may do nothing in the middle of a request or an answer.
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
        abandoned: Callable[[Exchange, Any], None],
        client_timeout: float,
    ) -> None:
        self._client_timeout = client_timeout
        self._abandoned = abandoned
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
            request.exchange = exchange = Exchange(now, deadline, verdict)
            if request.judgement is not None:
                exchange.note(*request.judgement)
            self._control.put(channel)
            return
        request.exchange = admitted = Admitted(now, deadline, channel, self)
        if request.judgement is not None:
            admitted.note(*request.judgement)
        if deadline is not None:
            admitted.start_timer(self._deadlines)
        if self._enlist is None:
            self._runner.put(admitted)
        else:
            self._runner.put(_Enlistment(admitted, channel, self._enlist, self._runner.measured))

    def worked(self, seconds: float, *, done: bool) -> None:
        """Note that a thread has worked on an admitted request; count the request out if it is answered."""
        if done:
            with self._lock:
                self._slot.leave()
        self._runner.measured(seconds)

    def go_on(self, stream: Admitted, *, connected: bool) -> None:
        """Queue the next turn of a stream that was parked."""
        patience = self._client_timeout * (PATIENCE if connected else 1)
        self._runner.put(Continuation(stream, self._deadlines, patience))

    def refuse(self, channel: Any) -> None:
        """Count an admitted request out, and have it answered with its verdict."""
        self._control.put(channel)
        with self._lock:
            self._slot.leave()

    def drop(self, admitted: Admitted, channel: Any) -> None:
        """Count an admitted request out that nobody waits for."""
        with self._lock:
            self._slot.leave()
        for request in channel.requests[:1]:
            self._abandoned(admitted, request)

    def _judge(self, request: Any, expired: bool) -> Verdict:
        if request.error or request.command != "POST" or (request.judgement and request.judgement.refusal):
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
