"""The memory that bodies of requests may take together while they are received, or wait; beyond it they go to disk.

Bodies up to ``SMALL_BYTES`` are not counted: they cost nothing, and a worker has a limited number of connections.
"""

from __future__ import annotations

import threading

from waitress.buffers import OverflowableBuffer

SMALL_BYTES = 16 * 1024


class BodyMemory:
    """A budget of memory, shared by the connections of a worker.

    Args:
        size: Bytes that all bodies may take together.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> Taken | None:
        """Take memory for a body; None if too little is left."""
        with self._lock:
            if size > self._left:
                return None
            self._left -= size
        return Taken(self, size)

    def give_back(self, size: int) -> None:
        """Take note that a body is gone."""
        with self._lock:
            self._left += size


class Taken:
    """Memory that was taken for a body; given back when nothing refers to it any more, however the body ended.

    Args:
        memory: Of which it was taken.
        size: Bytes.
    """

    __slots__ = ("_memory", "_size")

    def __init__(self, memory: BodyMemory, size: int) -> None:
        self._memory = memory
        self._size = size

    def __del__(self) -> None:
        """Give the memory back."""
        self._memory.give_back(self._size)


class BodyBuffer(OverflowableBuffer):  # type: ignore[misc]
    """waitress's buffer for a body of unknown or large size: in memory up to a size, then in a file.

    Args:
        memory: Of which its part in memory is taken; if nothing is left, the file begins at once.
        most: Bytes that it may keep in memory.
    """

    def __init__(self, memory: BodyMemory, most: int) -> None:
        self._taken = memory.take(most)
        super().__init__(most if self._taken is not None else SMALL_BYTES)
