"""One queue per replica, not per process: a connection whose request would wait moves to a worker that is less busy.

Processes share the listening socket, but a connection that a load balancer keeps open stays with the process that
accepted it. So when a new request comes to a busy worker while another has less to do, the connection itself and the
bytes that were read so far are passed on (a file descriptor over a Unix socket), and the other worker goes on from
there. Every worker has an inbox; connections in the inbox of a worker that died wait for its replacement.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from waitress import wasyncore

from cortex_serving.shared_state import Board, Slot, State

MAX_BYTES = 65536  # of a request's beginning; a longer first read stays where it is
MAX_HOPS = 3  # workers count each other's requests a moment late, so a choice may need correcting; but not for ever
Adopt = Callable[[socket.socket, Any, bytes, int], None]
_BATCH = 16  # connections that are taken over in one turn of the event loop


class Neighbours:
    """The other workers of the replica, as seen by one.

    Args:
        board: The replica's shared memory.
        own: Number of this worker.
        capacity: Requests that a worker handles at once; below that nothing is passed on.
        outboxes: Sending ends of the inboxes of all workers, by number.
    """

    def __init__(self, board: Board, own: int, capacity: int, outboxes: list[socket.socket]) -> None:
        self._own = own
        self._capacity = capacity
        self._outboxes = outboxes
        self._slots = board.slots()
        self._last = own

    def pass_on(self, connection: socket.socket, data: bytes, hops: int) -> bool:
        """Give a connection to a worker that is less busy.

        Args:
            connection: The connection; the caller closes its own descriptor.
            data: What was read of its request.
            hops: How often it was passed on already.

        Returns:
            False if no worker is less busy, or none can be reached: then the connection stays here.
        """
        busy = self._slots[self._own].load
        if busy < self._capacity or len(data) > MAX_BYTES or hops >= MAX_HOPS:
            return False
        best = self._least_busy(busy)
        if best is None:
            return False
        try:
            socket.send_fds(self._outboxes[best], [bytes([hops + 1]), data], [connection.fileno()])
        except OSError:
            return False  # its inbox is full: then this worker is as good
        self._last = best
        return True

    def _least_busy(self, busy: int) -> int | None:
        """A ready worker with the fewest requests, if it has fewer than ``busy``; equals take turns."""
        best, count = None, len(self._slots)
        for step in range(1, count + 1):
            number = (self._last + step) % count
            slot = self._slots[number]
            if slot.load < busy and slot.state is State.READY:
                best, busy = number, slot.load
        return best


class Inbox(wasyncore.dispatcher):  # type: ignore[misc]
    """Connections that other workers pass on, as part of the event loop.

    Args:
        receiver: The socket on which they come.
        slot: This worker's part of the shared memory.
        adopt: Goes on with a connection, given its socket, the client's address, what was read, and its hops.
        sockets: The event loop's connections by descriptor.
    """

    def __init__(self, receiver: socket.socket, slot: Slot, adopt: Adopt, sockets: dict[int, Any]) -> None:
        self._slot = slot
        self._adopt_connection = adopt
        super().__init__(receiver, map=sockets)

    def readable(self) -> bool:
        """Only while this worker is ready: what comes before that can wait, or was meant for its predecessor."""
        return self._slot.ready

    def writable(self) -> bool:
        """Never: it only receives."""
        return False

    def handle_read(self) -> None:
        """Take over the connections that wait."""
        for _ in range(_BATCH):
            try:
                data, descriptors, _flags, _address = socket.recv_fds(self.socket, MAX_BYTES + 1, 1)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                self._adopt(descriptor, data)

    def _adopt(self, descriptor: int, data: bytes) -> None:
        try:
            connection = socket.socket(fileno=descriptor)
        except OSError:  # no socket
            os.close(descriptor)
            return
        try:
            address = connection.getpeername()
        except OSError:  # the client is gone already
            connection.close()  # from here on the descriptor is the socket's: closing its number may hit another file
            return
        self._adopt_connection(connection, address, data[1:], data[0])
