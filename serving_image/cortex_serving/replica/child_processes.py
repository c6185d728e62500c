"""Processes that a predictor starts: what they inherit from the worker, what they must not, and how they end.

A worker outlives SIGTERM and a terminal's Ctrl-C, which reach every process of the replica: the supervisor decides when
a worker ends. *Ignored* signals would stay ignored in every program that the predictor starts, whose ``terminate()``
then did nothing. A *handler* is dropped by ``exec``, and forked children put the defaults back (docs/decisions/0020).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable
from types import FrameType
from typing import Protocol

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def outlive_signals() -> None:
    """Have this process live on at SIGTERM and SIGINT, but not the processes that it starts."""
    for number in _SIGNALS:
        signal.signal(number, _live_on)
        signal.siginterrupt(number, False)  # no library sees its system call fail for a signal that means nothing
    blocked = threading.local()

    def block() -> None:
        """A child that is terminated at its very first moment gets the signal when it has the defaults."""
        blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked.before)

    def restore() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=restore)


def lead_group() -> None:
    """Make this process, with all that it starts, a group of its own, which ends with it (``end_group``)."""
    os.setpgid(0, 0)


def end_group(leader: int) -> None:
    """End a process and all that it has started and left behind, as the end of a container does.

    Processes that a dead worker has started would otherwise hold memory, of the GPU too, for nobody. A daemon that made
    itself a session of its own lives on.

    Args:
        leader: The process, which leads a group.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def bury_adopted(own: Collection[int]) -> None:
    """Let go of dead processes that were nobody's: process 1 of a container inherits and keeps them.

    Args:
        own: This process's own children, which it waits for itself.
    """
    if not hasattr(os, "waitid"):  # macOS, where no container runs
        return
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)


def keep_at_exec(descriptors: Iterable[int]) -> None:
    """Have programs that this process starts not inherit descriptors.

    Args:
        descriptors: Descriptors that this process inherited itself.
    """
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)


def give_up_at_fork(descriptors: Callable[[], Iterable[int]]) -> None:
    """Have forked children hold none of certain descriptors.

    A child that lives for long would keep the port taken after the replica's end, and connections open that the worker
    has closed. The numbers stay taken, by ``/dev/null``: objects in the child still name them.

    Args:
        descriptors: Called in the child; returns the descriptors.
    """

    def give_up() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in descriptors():
            with contextlib.suppress(OSError):
                os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)

    os.register_at_fork(after_in_child=give_up)


class ForkedChild:
    """Ends a forked child of this process when the predictor's code returns to us, by whatever way.

    The child shares the worker's memory and would go on as a second worker: it would answer requests, count them, and
    take events from the worker's event loop.

    Args:
        detach: Called in the child at once; lets go of what it shares with the worker.
        finish: Called in the child before it ends; writes its last lines.
    """

    def __init__(self, detach: Callable[[], None], finish: Callable[[], None]) -> None:
        self._is_this_process = False
        self._detach = detach
        self._finish = finish
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._is_this_process = True
        self._detach()

    def end(self, error: BaseException | None = None) -> None:
        """End this process if it is a forked child; do nothing if it is the worker.

        Called wherever the predictor's code has returned to us.

        Args:
            error: What the predictor's code raised, which gives the exit code.
        """
        if not self._is_this_process:
            return
        if error is not None and not isinstance(error, SystemExit):
            sys.excepthook(type(error), error, error.__traceback__)
        self._finish()
        code = error.code if isinstance(error, SystemExit) else error and 1
        os._exit(code if isinstance(code, int) else code is not None)


class _Named(Protocol):
    name: str


def waited_for() -> list[_Named]:
    """The threads and processes that Python waits for before it ends this process."""
    pool = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", ())
    main = threading.main_thread()
    threads = [each for each in threading.enumerate() if each is not main and (each in pool or not each.daemon)]
    multiprocessing = sys.modules.get("multiprocessing")
    children = multiprocessing.active_children() if multiprocessing else []
    return [*threads, *(child for child in children if not child.daemon)]


def _live_on(_number: int, _frame: FrameType | None) -> None:
    pass
