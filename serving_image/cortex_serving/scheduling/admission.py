"""Who works on a request: admission, and the two lanes.

The *predict* lane has ``threads_per_process`` threads, which belong to the predictor (its ``__init__`` runs on one of
them, so that with one thread everything of a framework stays on one thread, as in Cortex). Everything else (health,
descriptions, refusals) goes to the *control* lane, so that it is answered while every predictor thread is busy.

With server-side batching the predictor has a thread of its own, and a request takes two turns on the predict lane: its
payload is read and handed to the batcher, and when its batch has run it is answered. In between it holds no thread.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from cortex_serving.request_context import Exchange, Verdict
from cortex_serving.scheduling.deadlines import Deadlines, deadline_of
from cortex_serving.shared_state import Board, Slot

logger = logging.getLogger(__name__)


class Task(Protocol):
    """Something that a lane's thread can work on.

    Attributes:
        comes_last: Whether responses that are ready shall not wait for it.
    """

    comes_last: bool

    def service(self) -> None:
        """Do it."""


class Runner(Protocol):
    """Who runs the server's loop, and decides which thread answers."""

    def put(self, *tasks: Task) -> None:
        """Have tasks done by the predictor's threads."""

    def measured(self, seconds: float) -> None:
        """An answer took that long."""


class Lane:
    """A queue and the threads that work it off.

    Args:
        name: Name of the threads.
        threads: How many.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, *tasks: Task) -> None:
        """Queue tasks."""
        for task in tasks:
            self._tasks.put(task)

    def take(self) -> Task | None:
        """A queued task; None if none waits."""
        if self._tasks.empty():  # asked after every request by who leads, and cheaper than an exception
            return None
        try:
            task = self._tasks.get_nowait()
        except queue.Empty:
            return None
        if task is None:  # the end, which is for a thread of the lane
            self._tasks.put(None)
        return task

    def finish(self, timeout: float) -> None:
        """Work off what is queued and end the threads, waiting for at most ``timeout`` seconds."""
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task.service()
            except BaseException:  # a thread less would be capacity less
                logger.exception("unexpected error while serving")


class Job:
    """A function as a task."""

    __slots__ = ("_function",)
    comes_last = True

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def service(self) -> None:
        """Call it."""
        self._function()


class Admitted(Exchange):
    """A request in the predict lane; leaves the count of requests in flight when it is answered."""

    comes_last = False

    def __init__(self, arrived: float, deadline: float | None, channel: Any, dispatcher: Dispatcher) -> None:
        # What the base's own does, spelled out: a call less for every request.
        self.arrived = arrived
        self.deadline = deadline
        self.verdict = Verdict.ADMITTED
        self._channel = channel
        self._dispatcher = dispatcher
        # Popping is atomic: one gets it, the deadline or a thread.
        self._unclaimed = None if deadline is None else [True]

    def claim(self) -> bool:
        """Whether it may be worked on from here on; False if its time was up before, and it was refused."""
        if self._unclaimed is None:
            return True
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    def service(self) -> None:
        """Answer it (whose outcome is known claimed it already)."""
        if self.deadline is not None and self.outcome is None and self.deadline <= time.perf_counter():
            self.expire()  # whoever watches over deadlines may be late
        elif self.outcome is not None or self.claim():
            start = time.perf_counter()
            try:
                self._channel.service()
            finally:
                self._dispatcher.leave(time.perf_counter() - start)

    def expire(self) -> None:
        """Its time is up: if it still waits, it is refused without costing the predictor anything."""
        if self.claim():
            self.verdict = Verdict.EXPIRED
            self._dispatcher.control.put(self._channel)
            self._dispatcher.leave(None)


class _Enlistment:
    """The first turn of a request that is to be predicted in a batch: its payload is read."""

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
        """Enlist it; it comes back when its outcome is known."""
        if self._admitted.verdict is Verdict.EXPIRED:
            return
        start = time.perf_counter()
        self._admitted.environ = self._channel.environment_of(self._request)
        self._enlist(self._admitted)
        self._measured(time.perf_counter() - start)


class Dispatcher:
    """waitress's task dispatcher: takes channels whose first request is complete.

    Args:
        board: The replica's shared memory.
        slot: This worker's part of it.
        limit: Requests in flight in the whole replica above which new ones are refused (``max_replica_concurrency``).
        threads: Threads of the predict lane.

    Attributes:
        enlist: Reads a request's payload and hands it to the batcher; None without server-side batching.
        put: Has tasks done by the predictor's threads.
        measured: Told how long an answer took.
    """

    def __init__(self, board: Board, slot: Slot, limit: int, threads: int) -> None:
        self._board = board
        self._slot = slot
        self._limit = limit
        self._alone = board.workers == 1
        self._lock = threading.Lock()
        self._deadlines = Deadlines()
        self.enlist: Callable[[Admitted], None] | None = None
        self.put: Callable[..., None]
        self.measured: Callable[[float], None]
        self.predict = Lane("predict", threads)
        self.control = Lane("control", 1)

    def add_task(self, channel: Any) -> None:
        """Take a channel (called by waitress)."""
        request = channel.requests[0]
        now = time.perf_counter()
        deadline = deadline_of(request.headers, now)
        verdict = self._judge(request, expired=deadline is not None and deadline <= now)
        if verdict is not Verdict.ADMITTED:
            request.exchange = Exchange(now, deadline, verdict)
            self.control.put(channel)
            return
        request.exchange = admitted = Admitted(now, deadline, channel, self)
        if deadline is not None:
            self._deadlines.at(deadline, admitted.expire)
        self.put(admitted if self.enlist is None else _Enlistment(admitted, channel, self.enlist, self.measured))

    def lead(self, runner: Runner) -> None:
        """Give requests to whoever runs the loop from here on."""
        self.put = runner.put
        self.measured = runner.measured

    def leave(self, seconds: float | None) -> None:
        """An admitted request has been answered in so many seconds, or (None) refused after all."""
        with self._lock:
            self._slot.leave()
        if seconds is not None:
            self.measured(seconds)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> None:
        """Nothing: lanes are finished by the worker, which knows its deadline (called by waitress)."""

    def _judge(self, request: Any, *, expired: bool) -> Verdict:
        if request.error or request.command != "POST":
            return Verdict.CONTROL
        if not self._slot.ready:
            return Verdict.NOT_READY
        if expired:
            return Verdict.EXPIRED
        with self._lock:
            if self._alone:  # then the own count is the replica's
                return self._admit(self._slot.in_flight)
            with self._board.counting():
                return self._admit(self._board.in_flight)

    def _admit(self, count: int) -> Verdict:
        if count >= self._limit:
            return Verdict.OVER_LIMIT
        self._slot.enter()
        return Verdict.ADMITTED
