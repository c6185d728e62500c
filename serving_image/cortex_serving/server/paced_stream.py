"""Streams that keep pace with their client: a predictor thread works on a stream only while the client takes it.

When too much of a stream waits to be sent, its task is left in the middle (``Parked``), and the thread takes other
work. When the client has taken most of it, or has gone, the stream gets another turn, maybe on another thread of the
predictor (docs/decisions/0054).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_serving.server.wsgi_task import ServingTask

FULL_BYTES = 256 * 1024  # of one connection's answers: above this, its stream is parked
ROOM_BYTES = 64 * 1024  # below this, its stream goes on


class Parked(BaseException):
    """Leaves a task in the middle of its stream; no ``Exception``, which waitress would take for a failure.

    Args:
        task: The task, which goes on later.
    """

    def __init__(self, task: ServingTask) -> None:
        super().__init__()
        self.task = task


class PacedStream:
    """The pieces of a streamed body; stays open while its task is parked.

    Args:
        pieces: What the application returned.

    Attributes:
        parked: Whether the stream waits for its client.
        cut: Whether it ends without its remaining pieces.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.parked = False
        self.cut = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Produce the next piece.

        Raises:
            OSError: The stream was cut. waitress then closes the connection quietly.
        """
        if self.cut:
            raise ConnectionAbortedError("the stream was cut")
        return next(self._pieces)

    def close(self) -> None:
        """End the stream, unless its task is only parked (called by waitress whenever it leaves a task)."""
        if not self.parked and hasattr(self._pieces, "close"):
            self._pieces.close()

    def end(self) -> None:
        """End a stream whose client has gone."""
        self.parked = False
        with contextlib.suppress(OSError):  # of our own, which cuts the response
            self.close()
