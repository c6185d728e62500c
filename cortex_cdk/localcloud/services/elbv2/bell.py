"""Wakes a thread that waits for sockets."""

from __future__ import annotations

import socket


class Bell:
    """What a thread waits for beside its sockets, and any thread may ring."""

    def __init__(self) -> None:
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to wait for: it can be read when the bell has been rung."""
        return self._bell.fileno()

    def ring(self) -> None:
        """Wake the thread."""
        try:
            self._button.send(b"!")
        except OSError:
            # It has been rung often enough, or is closed.
            return

    def answer(self) -> None:
        """Stop the ringing. Call this when it has been rung."""
        self._bell.recv(4096)

    def close(self) -> None:
        """Give the descriptors back."""
        self._bell.close()
        self._button.close()
