"""Bodies in memory: received in large pieces, joined once.

Stock waitress receives 8 KiB at a time and copies everything through a buffer that becomes a file at 512 KiB. Here
bodies up to ``IN_MEMORY`` are a list of pieces; larger ones take the stock way, so that memory stays bounded.
"""

from __future__ import annotations

import io
from typing import Any

RECEIVE_BYTES = 256 * 1024
FIRST_BYTES = 16 * 1024
IN_MEMORY = 16 * 1024 * 1024


class LargeReceives:
    """Mixin for channels: large pieces while a body comes, small ones for what may be a header only."""

    request: Any

    def recv(self, size: int) -> bytes:
        """Receive from the socket."""
        request = self.request
        in_body = request is not None and request.body_rcv is not None
        data: bytes = super().recv(RECEIVE_BYTES if in_body else FIRST_BYTES)  # type: ignore[misc]
        return data


class MemoryBody:
    """Receives a body of known length (stands in for waitress's FixedStreamReceiver).

    Attributes:
        completed: Whether all of it has come.
        error: Always None: a body of known length cannot be malformed.
    """

    __slots__ = ("_left", "_length", "_pieces", "completed")
    error = None

    def __init__(self, length: int) -> None:
        self._pieces: list[bytes] = []
        self._length = self._left = length
        self.completed = False

    def received(self, data: bytes) -> int:
        """Take the part of the data that belongs to the body; returns how much that is."""
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
        """What has to be closed when the request is done."""
        return self

    def close(self) -> None:
        """Let go of the pieces."""
        self._pieces.clear()

    def __len__(self) -> int:
        return self._length - self._left
