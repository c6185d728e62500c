"""Runs one container as a session of processes in a folder of its own, and reports its end."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
from cortex_serving.contract import Variable

from cortex_cdk.localcloud.containers import memory_limit, orphans, output, process_table
from cortex_cdk.localcloud.containers.launch import OUT_OF_MEMORY, CannotStartError, Exit, Launch
from cortex_cdk.localcloud.containers.process_table import ProcessTable
from cortex_cdk.localcloud.containers.sessions import end_session

OUTPUT_FILE = "output.log"
TERMINATION_FILE = "termination.log"
LONGEST_REASON = 1024
"""Characters of a container's ``reason`` (API reference, Container)."""


class ContainerProcess:
    """A container that runs. A thread reports its end, once.

    Args:
        launch: The container to run.
        folder: The task's folder, to be made: home, temporary and working directory of the process.
        on_exit: Takes the end of the container.

    Raises:
        CannotStartError: The program does not exist or cannot be executed, or the disk is full.
    """

    def __init__(self, launch: Launch, folder: Path, on_exit: Callable[[Exit], None]) -> None:
        self.launch = launch
        self._folder = folder
        self._on_exit = on_exit
        self._out_of_memory = False
        self._was_measured = False
        self._stopping = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._process = self._start()
            self._record()
        except OSError as error:
            raise CannotStartError(f"CannotStartContainerError: {error}") from error
        self._waiter = threading.Thread(target=self._wait, name=f"task-{launch.task_id[:8]}", daemon=True)
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The process id of the group's leader."""
        return self._process.pid

    def stop(self) -> None:
        """Send SIGTERM to the leader, and SIGKILL to the whole session when the stop timeout has passed."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        deadline = threading.Timer(self.launch.stop_timeout, self.kill)
        deadline.daemon = True
        deadline.start()

    def kill(self) -> None:
        """Kill all processes of the container at once."""
        if self._process.poll() is None:
            end_session(self._process.pid)

    def join(self, timeout: float) -> bool:
        """Wait until the end has been reported.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether the end has been reported.
        """
        self._waiter.join(timeout)
        return not self._waiter.is_alive()

    def enforce_memory_limit(self, table: ProcessTable) -> None:
        """Kill the container's processes if they hold more memory than the limit.

        Args:
            table: The processes of this machine.
        """
        limit = self.launch.memory_limit
        if limit is not None and memory_limit.is_exceeded(self.pid, limit, table):
            self._out_of_memory = True
            self.kill()

    def is_within_memory(self) -> bool:
        """Return whether the container has kept to its memory limit. The first call enforces the limit."""
        if not self._was_measured:
            self._was_measured = True
            self.enforce_memory_limit(process_table.read())
        return not self._out_of_memory

    def rotate_output(self) -> None:
        """Keep the output file within its limits."""
        output.rotate(self._folder / OUTPUT_FILE, self.launch.output)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**self.launch.environment, **_folder_variables(self._folder)}
        program = shutil.which(self.launch.command[0], path=environment.get("PATH"))
        if program is None:
            raise CannotStartError(
                f'CannotStartContainerError: exec: "{self.launch.command[0]}": executable file not found in $PATH'
            )
        with (self._folder / OUTPUT_FILE).open("ab") as sink:
            return subprocess.Popen(  # noqa: S603 - an argument list from the task definition, no shell
                [program, *self.launch.command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )

    def _record(self) -> None:
        try:
            orphans.record(self._folder, psutil.Process(self._process.pid))
        except OSError:
            end_session(self._process.pid)  # nobody would ever find the process
            self._process.wait()
            raise

    def _wait(self) -> None:
        status = self._process.wait()
        # As with process 1 of a container: all other processes end with it.
        end_session(self._process.pid)
        orphans.forget(self._folder)
        code = status if status >= 0 else 128 - status
        reason = OUT_OF_MEMORY if self._out_of_memory else _last_words(self._folder / TERMINATION_FILE)
        self._on_exit(Exit(self.launch.task_id, code, reason))


def _folder_variables(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "TMPDIR": str(folder), Variable.TERMINATION_LOG: str(folder / TERMINATION_FILE)}


def _last_words(path: Path) -> str | None:
    """Return the first line of a program's termination log; None if the log is empty."""
    with contextlib.suppress(OSError):
        text = path.read_text(errors="replace").strip()
        return text.splitlines()[0][:LONGEST_REASON] if text else None
    return None
