"""The event loop: waits for sockets, and calls their connections.

waitress's loop (``PollLoop``) asks every connection on every turn whether it wants to read or write, and hands all of
them to the kernel anew; and every response wakes the loop through a pipe. In ``EpollLoop`` a connection is registered
once, for reading. Interest changes when something happens: a connection that cannot be read now (a request is being
answered) is parked when the kernel reports it, and looked at again after its response; one with output left is
registered for writing. A connection that is not read is watched for the end of its client's side, which it is told
once (``shut_by_client``): its request may have been abandoned.
"""

from __future__ import annotations

import select
import threading
from typing import Any, Protocol

from waitress import wasyncore
from waitress.trigger import trigger

_SHUT = getattr(select, "POLLRDHUP", 0)  # the other side sends nothing more; epoll's flags are those of poll
_READ = select.POLLIN | _SHUT
_WRITE = select.POLLOUT


class Loop(Protocol):
    """One thread at a time takes turns; everything else may be called by any thread."""

    @property
    def connections(self) -> dict[int, Any]:
        """By descriptor: clients' connections, the listening socket, the inbox, and the loop's wake-up pipe."""

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, for at most ``timeout`` seconds, and handle it."""

    def wake(self) -> None:
        """End a wait of the loop."""

    def attend(self, connection: Any) -> None:
        """Have the loop look soon at what a connection wants."""

    def unsettled(self, connection: Any) -> bool:
        """Whether a connection may want something else than the loop waits for, so that it must attend to it."""

    def responded(self) -> None:
        """A response was written (waitress tells after each)."""


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
        self.epoll.register(descriptor, _READ)
        self.interest[descriptor] = _READ
        super().__setitem__(descriptor, connection)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        del self.interest[descriptor]
        self.epoll.unregister(descriptor)


class EpollLoop:
    """A loop on epoll (Linux) with registrations that persist."""

    def __init__(self) -> None:
        self.connections = EpollMap()
        self._trigger = trigger(self.connections)
        self._attention: list[Any] = []
        self._lock = threading.Lock()

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, for at most ``timeout`` seconds, and handle it."""
        if self._attention:
            self._look_again()
        connections = self.connections
        for descriptor, happened in connections.epoll.poll(timeout):
            connection = connections.get(descriptor)
            if connection is None:
                continue
            flags = happened if connection.readable() else happened & ~_READ
            if flags:
                wasyncore.readwrite(connection, flags)
            elif happened & _SHUT:
                connection.shut_by_client()
            if connections.interest.get(descriptor) != _READ or connection.writable() or not flags:
                self._register(descriptor, connection)

    def wake(self) -> None:
        """End a wait of the loop."""
        self._trigger.pull_trigger()

    def attend(self, connection: Any) -> None:
        """Have the next turn look at what a connection wants."""
        with self._lock:
            self._attention.append(connection)
        self.wake()

    def unsettled(self, connection: Any) -> bool:
        """Whether a connection may want something else than the kernel was told."""
        return bool(self.connections.interest.get(connection._fileno) != _READ or connection.writable())

    def responded(self) -> None:
        """Nothing: a connection that needs the loop tells it so."""

    def _register(self, descriptor: int, connection: Any) -> None:
        """Tell the kernel what the connection wants. Again, if that changes meanwhile: then nobody else will."""
        connections = self.connections
        while descriptor in connections and connections[descriptor] is connection:
            wanted = _READ if connection.readable() else _unread_interest(connection)
            if connection.writable() and not connection.accepting:
                wanted |= _WRITE
            if wanted == connections.interest[descriptor]:
                return
            connections.interest[descriptor] = wanted
            connections.epoll.modify(descriptor, wanted)

    def _look_again(self) -> None:
        with self._lock:
            connections, self._attention = self._attention, []
        for connection in connections:
            if connection._fileno is not None:
                self._register(connection._fileno, connection)


def _unread_interest(connection: Any) -> int:
    """What the kernel is asked to report of a connection that is not read; it always reports a reset."""
    return 0 if getattr(connection, "shut", True) else _SHUT


class PollLoop:
    """waitress's own loop, on poll; waitress does not watch connections that are not read."""

    def __init__(self) -> None:
        self.connections: dict[int, Any] = {}
        self._trigger = trigger(self.connections)

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, for at most ``timeout`` seconds, and handle it."""
        poll = select.poll()
        connections = self.connections
        for descriptor, connection in list(connections.items()):
            wanted = select.POLLIN | select.POLLPRI if connection.readable() else _unread_interest(connection)
            if connection.writable() and not connection.accepting:
                wanted |= _WRITE
            if wanted or (_SHUT and hasattr(connection, "shut")):
                poll.register(descriptor, wanted)
        for descriptor, happened in poll.poll(int(timeout * 1000)):
            connection = connections.get(descriptor)
            if connection is None:
                continue
            if happened & _SHUT:
                connection.shut_by_client()
            wasyncore.readwrite(connection, happened)

    def wake(self) -> None:
        """End a wait of the loop."""
        self._trigger.pull_trigger()

    def attend(self, connection: Any) -> None:
        """Begin another turn: every turn looks at every connection."""
        self.wake()

    def unsettled(self, connection: Any) -> bool:
        """Never: waitress wakes the loop itself."""
        return False

    def responded(self) -> None:
        """Begin another turn: the connection may be read again, or closed."""
        self.wake()


def make_loop(*, fast: bool) -> Loop:
    """The loop of a server: epoll where it is wanted and the system has it, else poll."""
    return EpollLoop() if fast and hasattr(select, "epoll") else PollLoop()
