"""Request bodies in memory: received in large pieces, joined once.

Stock waitress receives 8 KiB at a time and copies everything through a buffer that becomes a file at 512 KiB. Here
bodies up to ``IN_MEMORY_BYTES`` are a list of pieces. Larger ones take the stock way, and so do those that come when
other bodies have taken the memory that there is for all (``body_memory``): memory stays bounded.
"""

from __future__ import annotations

import io

from cortex_serving.server.body_memory import Taken

RECEIVE_BYTES = 16 * 1024  # at once, of what may be a header only
RECEIVE_BYTES_OF_BODY = 256 * 1024
IN_MEMORY_BYTES = 16 * 1024 * 1024


class MemoryBody:
    """Receives a body of known length (stands in for waitress's ``FixedStreamReceiver``).

    Args:
        length: Bytes of the body.
        first: The part of the body that came with the header.
        taken: The memory that was taken for it; None if it is small.

    Attributes:
        completed: Whether all of it has come.
        error: Always None: a body of known length cannot be malformed.
    """

    __slots__ = ("_left", "_length", "_pieces", "_taken", "completed")
    error = None

    def __init__(self, length: int, first: bytes, taken: Taken | None) -> None:
        self._taken = taken
        self._pieces = [first]
        self._length = length
        self._left = length - len(first)
        self.completed = not self._left

    def received(self, data: bytes) -> int:
        """Take the part of the data that belongs to the body; returns how many bytes that is."""
        size = len(data)
        if size > self._left:
            size = self._left
            data = data[:size]
        self._pieces.append(data)
        self._left -= size
        self.completed = not self._left
        return size

    def getfile(self) -> io.BytesIO:
        """The body as a file."""
        return io.BytesIO(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))

    def getbuf(self) -> MemoryBody:
        """The object to close when the request is done."""
        return self

    def close(self) -> None:
        """Let go of the pieces."""
        self._pieces.clear()
        self._taken = None

    def __len__(self) -> int:
        """Bytes that have come."""
        return self._length - self._left
