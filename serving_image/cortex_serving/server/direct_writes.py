"""Responses straight to the socket.

waitress copies what is to be sent into a buffer and from there to the socket. Here the socket gets it first; what it
does not take goes the stock way. The order of bytes is kept: nothing is sent directly while anything waits in a buffer.
"""

from __future__ import annotations

import time
from typing import Any


class DirectWrites:
    """Mixin for channels."""

    total_outbufs_len: int
    connected: bool
    outbuf_lock: Any
    socket: Any
    last_activity: float

    def write_soon(self, data: Any) -> int:
        """Send data, at once as far as the socket takes it; returns its length."""
        if not self.total_outbufs_len and self.connected and type(data) is bytes and data:
            lock = self.outbuf_lock
            lock.acquire()  # a Condition, whose own "with" is written in Python and costs as much as the rest here
            try:
                sent = 0 if self.total_outbufs_len else self._send_now([data])
            finally:
                lock.release()
            if sent:
                self.last_activity = time.time()
                if sent < len(data):
                    super().write_soon(data[sent:])  # type: ignore[misc]
                return len(data)
        written: int = super().write_soon(data)  # type: ignore[misc]
        return written

    def write_both(self, head: bytes, body: bytes) -> None:
        """Send a header and a large body without joining them in memory."""
        sent = 0
        if not self.total_outbufs_len and self.connected:
            with self.outbuf_lock:
                sent = 0 if self.total_outbufs_len else self._send_now([head, body])
        for part in (head, body):
            if sent < len(part):
                self.write_soon(part[sent:] if sent else part)
            sent = max(0, sent - len(part))

    def _send_now(self, parts: list[bytes]) -> int:
        """How much the socket took. Errors count as nothing: the stock way meets them again and handles them.

        With the lock, for the loop closes the connection of a client that has gone.
        """
        if not self.connected:
            return 0
        try:
            sent: int = self.socket.send(parts[0]) if len(parts) == 1 else self.socket.sendmsg(parts)
        except OSError:
            return 0
        return sent


class BufferedWrites:
    """Mixin for channels without direct writes."""

    def write_both(self, head: bytes, body: bytes) -> None:
        """Send a header and a body."""
        self.write_soon(head)  # type: ignore[attr-defined]
        self.write_soon(body)  # type: ignore[attr-defined]
