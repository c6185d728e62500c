"""A connection whose request was refused stays open while its client still sends.

A socket that is closed with data unread resets the connection, and the reset throws the answer away before the client,
or the load balancer, has read it (RFC 9112, 9.6). So only the sending side is closed, and what still comes is thrown
away, until the client closes its side too, or for ``SECONDS``.
"""

from __future__ import annotations

import contextlib
import socket
import time

from waitress.channel import HTTPChannel

SECONDS = 30.0  # as nginx's lingering_time


class Lingering(HTTPChannel):  # type: ignore[misc]
    """Channels that linger after a refusal.

    Attributes:
        refused: Whether the parser has refused a request, so that more of it may come.
        lingers_until: ``time.time`` when a channel that lingers is closed; None while it does not.
    """

    refused = False
    lingers_until: float | None = None
    close_when_flushed: bool

    def handle_write(self) -> None:
        """Send what waits to be sent; then close the connection, or linger, if that is due."""
        if not (self.refused and self.close_when_flushed):
            super().handle_write()
            return
        self.close_when_flushed = False
        super().handle_write()
        if not self.connected:
            return
        if self.total_outbufs_len:
            self.close_when_flushed = True
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.lingers_until = time.time() + SECONDS
        # On this one object, so that others pay nothing for it.
        self.received = self._throw_away

    def _throw_away(self, data: bytes) -> bool:
        if self.lingers_until is not None and time.time() > self.lingers_until:
            self.handle_close()
        return True
