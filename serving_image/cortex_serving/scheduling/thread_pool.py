"""Threads that work off a queue of tasks.

A pool ends only with its process, and holds nothing of a task that is done: an idle replica must not keep its last
request's payload in memory, which may be a GPU's.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger(__name__)


class Task(Protocol):
    """A piece of work.

    Attributes:
        comes_last: Whether responses that are ready shall not wait for it.
    """

    comes_last: bool

    def service(self) -> None:
        """Do it (the name is waitress's)."""


class Job:
    """A function as a task.

    Args:
        function: Called once, by a thread of the pool.
    """

    __slots__ = ("_function",)
    comes_last = True

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def service(self) -> None:
        """Call it."""
        self._function()


class ThreadPool:
    """A queue and the threads that work it off.

    Args:
        name: Name of the threads.
        threads: How many.
        after_task: Called after each task, by its thread.
    """

    def __init__(self, name: str, threads: int, after_task: Callable[[], None]) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._after_task = after_task
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
        """A queued task, for a thread that works on tasks of the pool without waiting; None if none is queued."""
        if self._tasks.empty():  # asked after every request by who leads, and cheaper than an exception
            return None
        try:
            task = self._tasks.get_nowait()
        except queue.Empty:
            return None
        if task is None:  # the end, which is for a thread of the pool
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
            del task  # while the thread waits
            self._after_task()
