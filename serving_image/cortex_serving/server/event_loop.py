"""A loop on epoll with registrations that persist.

waitress's loop asks every connection on every turn whether it wants to read or write, and hands all of them to the
kernel anew; and every response wakes the loop through a pipe. Here a connection is registered once, for reading.
Interest changes when something happens: a connection that cannot be read now (a request is being answered) is parked
when the kernel reports it, and looked at again after its response; one with output left is registered for writing.
"""

from __future__ import annotations

import select
import threading
from typing import Any

from waitress import wasyncore

available = hasattr(select, "epoll")  # Linux


class EpollMap(dict[int, Any]):
    """waitress's map from descriptors to connections; registers what is put into it, for reading.

    Attributes:
        interest: What the kernel was asked to report of each descriptor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoll = select.epoll()
        self.interest: dict[int, int] = {}

    def __setitem__(self, descriptor: int, connection: Any) -> None:
        super().__setitem__(descriptor, connection)
        self.interest[descriptor] = select.EPOLLIN
        self.epoll.register(descriptor, select.EPOLLIN)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        del self.interest[descriptor]
        self.epoll.unregister(descriptor)


class EpollLoop:
    """Turns of the loop. One thread at a time takes turns; ``attend`` may be called by any.

    Args:
        map: The connections, the listening socket and the wake-up pipe included.
    """

    def __init__(self, map: EpollMap) -> None:
        self._map = map
        self._attention: list[Any] = []
        self._lock = threading.Lock()

    def attend(self, connection: Any) -> None:
        """Have the next turn look at what a connection wants."""
        with self._lock:
            self._attention.append(connection)

    def unsettled(self, connection: Any) -> bool:
        """Whether a connection may want something else than the kernel was told: then it needs attention."""
        return bool(self._map.interest.get(connection._fileno) != select.EPOLLIN or connection.writable())

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, for at most ``timeout`` seconds, and handle it."""
        if self._attention:
            self._look_again()
        connections = self._map
        for descriptor, flags in connections.epoll.poll(timeout):
            connection = connections.get(descriptor)
            if connection is not None:
                self._handle(descriptor, connection, flags)

    def _handle(self, descriptor: int, connection: Any, flags: int) -> None:
        if flags & select.EPOLLIN and not connection.readable():
            flags &= ~select.EPOLLIN
        if flags:
            wasyncore.readwrite(connection, flags)  # poll's flags have the same values as epoll's
        if self._map.interest.get(descriptor) != select.EPOLLIN or connection.writable() or not flags:
            self._register(descriptor, connection)

    def _register(self, descriptor: int, connection: Any) -> None:
        """Tell the kernel what the connection wants. Again, if that changes meanwhile: then nobody else will."""
        while descriptor in self._map and self._map[descriptor] is connection:
            wanted = select.EPOLLIN if connection.readable() else 0
            if connection.writable() and not connection.accepting:
                wanted |= select.EPOLLOUT
            if wanted == self._map.interest[descriptor]:
                return
            self._map.interest[descriptor] = wanted
            self._map.epoll.modify(descriptor, wanted)

    def _look_again(self) -> None:
        with self._lock:
            connections, self._attention = self._attention, []
        for connection in connections:
            if connection._fileno is not None:
                self._register(connection._fileno, connection)


class Poll2Loop:
    """waitress's own loop, on poll, with the same face."""

    def __init__(self, map: dict[int, Any]) -> None:
        self._map = map

    def attend(self, connection: Any) -> None:
        """Nothing: every turn looks at every connection."""

    def unsettled(self, connection: Any) -> bool:
        """Never: waitress wakes the loop itself."""
        return False

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, for at most ``timeout`` seconds, and handle it."""
        wasyncore.poll2(timeout, self._map)
