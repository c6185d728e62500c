"""Plain values between the scheduler and the driver: a container to run, and how a container ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
"""The reason that the ECS agent gives for a container that the kernel killed for its memory."""
DEFAULT_STOP_TIMEOUT = 30.0
"""Seconds between SIGTERM and SIGKILL, for a container definition without stopTimeout (ECS_CONTAINER_STOP_TIMEOUT)."""


@dataclass(frozen=True)
class OutputLimits:
    """How much of a container's output to keep (as Docker's ``json-file`` driver does).

    Attributes:
        max_bytes: Size at which the file is rotated.
        max_files: How many files are kept, the current one included.
    """

    max_bytes: int = 10 * 1024 * 1024
    max_files: int = 2


@dataclass(frozen=True)
class Launch:
    """One container to run.

    Attributes:
        task_id: The container's task. The id names the task's folder.
        command: Program and arguments. The program is looked up on the environment's ``PATH``.
        environment: The complete environment, without the variables that name the task's own folder. No log shows it:
            it has the values of secrets.
        memory_limit: Bytes that the process tree may hold, or None.
        stop_timeout: Seconds between SIGTERM and SIGKILL.
        output: How much of the output to keep.
    """

    task_id: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    memory_limit: int | None = None
    stop_timeout: float = DEFAULT_STOP_TIMEOUT
    output: OutputLimits = OutputLimits()


@dataclass(frozen=True)
class Exit:
    """How a container ended.

    Attributes:
        task_id: The container's task.
        code: Exit code as Docker reports it: 128 + signal for a process that a signal ended.
        reason: ``OUT_OF_MEMORY``, or the first line of the program's termination log, or None.
    """

    task_id: str
    code: int
    reason: str | None


class CannotStartError(Exception):
    """A container cannot be started. ECS reports the message as the reason."""
