"""What a worker is given at its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Birth:
    """Descriptors and numbers for a worker, handed over as JSON in the environment variable ``CORTEX_WORKER``."""

    index: int
    workers: int
    listener: int
    board: int
    control: int
    lines: int
    inbox: int
    outboxes: tuple[int, ...]
    revision: str

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Everything that is handed over open."""
        return (self.listener, self.board, self.control, self.lines, self.inbox, *self.outboxes)
