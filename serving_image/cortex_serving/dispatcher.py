"""Who works on a request: admission, and the two lanes.

The *predict* lane has ``threads_per_process`` threads, which belong to the predictor (its ``__init__`` runs on one of
them, so that with one thread everything of a framework stays on one thread, as in Cortex). Everything else (health,
descriptions, refusals) goes to the *control* lane, so that it is answered while every predictor thread is busy.
"""

from __future__ import annotations

import enum
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from cortex_serving.board import Board, Slot
from cortex_serving.deadlines import Deadlines, deadline_of

logger = logging.getLogger(__name__)


class Task(Protocol):
    """Something that a lane's thread can work on."""

    def service(self) -> None:
        """Do it."""


class Runner(Protocol):
    """Who runs the server's loop, and decides which thread answers."""

    def put(self, task: Task) -> None:
        """Have a task done by the predictor's threads."""

    def measured(self, seconds: float) -> None:
        """An answer took that long."""


class Verdict(enum.Enum):
    """What became of a request when it arrived."""

    ADMITTED = "admitted"
    CONTROL = "control"
    NOT_READY = "not ready"
    OVER_LIMIT = "over limit"
    EXPIRED = "expired"


class Ticket:
    """A request's admission: when it arrived, its deadline (both ``time.perf_counter``), and the verdict."""

    __slots__ = ("arrived", "deadline", "verdict")

    def __init__(self, arrived: float, deadline: float | None, verdict: Verdict) -> None:
        self.arrived = arrived
        self.deadline = deadline
        self.verdict = verdict


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

    def put(self, task: Task) -> None:
        """Queue a task."""
        self._tasks.put(task)

    def take(self) -> Task | None:
        """A queued task; None if none waits."""
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

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def service(self) -> None:
        """Call it."""
        self._function()


class _Admitted:
    """A request in the predict lane; leaves the count of requests in flight when it is answered."""

    __slots__ = ("_channel", "_dispatcher", "_unclaimed")

    def __init__(self, channel: Any, dispatcher: Dispatcher) -> None:
        self._channel = channel
        self._dispatcher = dispatcher
        self._unclaimed = [True]  # popping is atomic: either a thread or the deadline gets it

    def service(self) -> None:
        """Answer it, unless its time was up before."""
        if self._claim():
            start = time.perf_counter()
            try:
                self._channel.service()
            finally:
                self._dispatcher.leave(time.perf_counter() - start)

    def expire(self) -> None:
        """Its time is up: if it still waits, it is refused without costing the predictor anything."""
        if self._claim():
            self._channel.requests[0].ticket.verdict = Verdict.EXPIRED
            self._dispatcher.control.put(self._channel)
            self._dispatcher.leave(None)

    def _claim(self) -> bool:
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False


class Dispatcher:
    """waitress's task dispatcher: takes channels whose first request is complete.

    Args:
        board: The replica's shared memory.
        slot: This worker's part of it.
        limit: Requests in flight in the whole replica above which new ones are refused (``max_replica_concurrency``).
        threads: Threads of the predict lane.
    """

    def __init__(self, board: Board, slot: Slot, limit: int, threads: int) -> None:
        self._board = board
        self._slot = slot
        self._limit = limit
        self._alone = board.workers == 1
        self._lock = threading.Lock()
        self._deadlines = Deadlines()
        self._runner: Runner
        self.after: Callable[[Task], None]
        self.predict = Lane("predict", threads)
        self.control = Lane("control", 1)

    def add_task(self, channel: Any) -> None:
        """Take a channel (called by waitress)."""
        request = channel.requests[0]
        verdict = self._judge(request)
        now = time.perf_counter()
        deadline = deadline_of(request.headers, now)
        request.ticket = Ticket(now, deadline, verdict)
        if verdict is not Verdict.ADMITTED:
            self.control.put(channel)
            return
        admitted = _Admitted(channel, self)
        if deadline is not None:
            self._deadlines.at(deadline, admitted.expire)
        self._runner.put(admitted)

    def lead(self, runner: Runner) -> None:
        """Give requests to whoever runs the loop from here on."""
        self._runner = runner
        self.after = runner.put

    def leave(self, seconds: float | None) -> None:
        """An admitted request has been answered in so many seconds, or (None) refused after all."""
        with self._lock:
            self._slot.in_flight -= 1
        if seconds is not None:
            self._runner.measured(seconds)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> None:
        """Nothing: lanes are finished by the worker, which knows its deadline (called by waitress)."""

    def _judge(self, request: Any) -> Verdict:
        if request.error or request.command != "POST":
            return Verdict.CONTROL
        if not self._slot.ready:
            return Verdict.NOT_READY
        whole = self._slot if self._alone else self._board
        with self._lock:
            if whole.in_flight >= self._limit:
                return Verdict.OVER_LIMIT
            self._slot.in_flight += 1
        self._slot.count_request()
        return Verdict.ADMITTED
