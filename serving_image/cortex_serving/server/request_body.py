"""Bodies in memory: received in large pieces, joined once.

Stock waitress receives 8 KiB at a time and copies everything through a buffer that becomes a file at 512 KiB. Here
bodies up to ``IN_MEMORY`` are a list of pieces; larger ones take the stock way, so that memory stays bounded.
"""

from __future__ import annotations

import io
import time

from waitress.channel import HTTPChannel

RECEIVE_BYTES = 256 * 1024
FIRST_BYTES = 16 * 1024
IN_MEMORY = 16 * 1024 * 1024


class LargeReceives(HTTPChannel):  # type: ignore[misc]
    """Channels that receive large pieces while a body comes, small ones of what may be a header only."""

    def handle_read(self) -> None:
        """Receive from the socket."""
        in_body = self.request is not None and self.request.body_rcv is not None
        try:
            data = self.socket.recv(RECEIVE_BYTES if in_body else FIRST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if data:
            self.last_activity = time.time()
            self.received(data)
        else:
            self.handle_close()


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

    @classmethod
    def whole(cls, data: bytes) -> MemoryBody:
        """A body that is all there."""
        body = cls(len(data))
        body._pieces.append(data)
        body._left = 0
        body.completed = True
        return body

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
