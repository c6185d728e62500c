"""Starts, watches and stops the containers of this machine, and tells how they ended."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cortex_cdk.localcloud.containers import process_table
from cortex_cdk.localcloud.containers.launch import Exit, Launch
from cortex_cdk.localcloud.containers.process import ContainerProcess
from cortex_cdk.localcloud.pace import Pace

logger = logging.getLogger(__name__)

WATCH_INTERVAL = 0.5
"""Seconds between two looks at the memory and output of containers; more where there are very many (``Pace``)."""
FOLDERS_KEPT = 10
"""How many folders of ended tasks are kept for reading."""


class TaskDriver:
    """Runs containers as processes.

    Args:
        state: The state folder. The folder of a task is ``tasks/<task id>`` in the state folder.
        on_exit: Is called, from any thread, when a container has ended.
    """

    def __init__(self, state: Path, on_exit: Callable[[], None]) -> None:
        self._root = state / "tasks"
        self._on_exit = on_exit
        self._running: dict[str, ContainerProcess] = {}
        self._exits: dict[str, Exit] = {}
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="task-watcher", daemon=True)

    def open(self) -> None:
        """Start watching."""
        self._remove_old_folders()
        self._watcher.start()

    def close(self, timeout: float) -> None:
        """Stop all containers, kill the slow ones, and stop watching.

        Args:
            timeout: Seconds to wait for containers that drain.
        """
        running = list(self._running.values())
        for process in running:
            process.stop()
        deadline = time.monotonic() + timeout
        for process in running:
            if not process.join(max(0.0, deadline - time.monotonic())):
                process.kill()
                process.join(1.0)
        self._closed.set()

    def start(self, launch: Launch) -> None:
        """Start a container.

        Raises:
            CannotStartError: The container cannot be started.
        """
        self._running[launch.task_id] = ContainerProcess(launch, self._root / launch.task_id, self._ended)

    def stop(self, task_id: str) -> None:
        """Begin to stop a container. ``exits`` tells its end. An unknown id is ignored."""
        process = self._running.get(task_id)
        if process is not None:
            process.stop()

    def kill(self, task_id: str) -> None:
        """Kill a container at once, as a crash would. ``exits`` tells its end. An unknown id is ignored."""
        process = self._running.get(task_id)
        if process is not None:
            process.kill()

    def is_running(self, task_id: str) -> bool:
        """Return whether a task's container runs, or has ended without an acknowledgement yet."""
        return task_id in self._running

    def pid(self, task_id: str) -> int | None:
        """Return the process id of a task's container; None if the container does not run."""
        process = self._running.get(task_id)
        return process.pid if process else None

    def is_within_memory(self, task_id: str) -> bool:
        """Return whether a task's container has kept to its memory limit. The first call enforces the limit.

        An unknown id counts as within.
        """
        process = self._running.get(task_id)
        return process is None or process.is_within_memory()

    def exits(self) -> list[Exit]:
        """Return the ends of containers that nobody has acknowledged yet."""
        return list(self._exits.values())

    def acknowledge(self, task_id: str) -> None:
        """Forget the end of a task's container, because the caller has written it down.

        Until then ``exits`` tells the end again, so that no error on the way loses an end.
        """
        del self._exits[task_id]
        self._running.pop(task_id, None)
        self._remove_old_folders()

    def _ended(self, exit_: Exit) -> None:
        self._exits[exit_.task_id] = exit_
        self._on_exit()

    def _watch(self) -> None:
        pace = Pace(WATCH_INTERVAL)
        while not self._closed.wait(pace.pause):
            if running := list(self._running.items()):
                with pace.round():
                    _look_at(running)

    def _remove_old_folders(self) -> None:
        if not self._root.is_dir():
            return
        ended = [folder for folder in self._root.iterdir() if folder.is_dir() and folder.name not in self._running]
        ended.sort(key=_changed_at, reverse=True)
        for folder in ended[FOLDERS_KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)


def _changed_at(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _look_at(running: Iterable[tuple[str, ContainerProcess]]) -> None:
    table = process_table.read()
    for task_id, process in running:
        try:
            process.enforce_memory_limit(table)
            process.rotate_output()
        except Exception:
            # A full disk, which fails the output of one task, must not end the memory limits of all.
            logger.exception("The container of task %s could not be looked at.", task_id)
