"""waitress's server, set up for a worker: it accepts connections while the worker should have them, and can drain."""

from __future__ import annotations

import socket
import threading
import time
from functools import partial
from typing import Any, Protocol

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from cortex_serving.access.gate import Gate
from cortex_serving.contract import CONNECTION_IDLE_TIMEOUT_S
from cortex_serving.server import waiting_time
from cortex_serving.server.accept_backoff import AcceptBackoff
from cortex_serving.server.body_memory import BodyMemory
from cortex_serving.server.connection import Connection
from cortex_serving.server.connection_limit import connection_limit
from cortex_serving.server.connection_passing import Inbox, Neighbours
from cortex_serving.server.event_loop import Loop
from cortex_serving.server.leader_follower import Runner
from cortex_serving.server.request_parser import parser_class
from cortex_serving.server.wsgi_task import WsgiApplication, resuming
from cortex_serving.shared_state import Board, Slot

BACKLOG = 2048
_HEADER_BYTES = 64 * 1024  # all that an AWS load balancer passes on
_DRAIN_POLL_SECONDS = 0.05
_LOOK_SECONDS = 10  # between two looks for connections that have kept us waiting for too long
_ROOM_PART = 50  # of idle connections, one in so many is closed at once: finding them costs a look at all


class Admission(Protocol):
    """waitress's task dispatcher: decides what is done about requests."""

    def add_task(self, channel: Any) -> None:
        """Take a connection whose first request is complete."""


def _adjustments(listener: socket.socket, max_body_bytes: int, client_timeout: float) -> Adjustments:
    return Adjustments(
        sockets=[listener],
        ident=None,
        connection_limit=connection_limit(),
        channel_timeout=CONNECTION_IDLE_TIMEOUT_S,
        cleanup_interval=min(_LOOK_SECONDS, max(1, int(client_timeout / 4))),
        max_request_header_size=_HEADER_BYTES,
        max_request_body_size=max_body_bytes + 1,  # waitress refuses the very size
        backlog=BACKLOG,
        clear_untrusted_proxy_headers=False,  # nothing here trusts them, and the check costs every request
        log_socket_errors=False,
    )


class ServingServer(TcpWSGIServer):  # type: ignore[misc]
    """The server of one worker, on the socket that all workers of the replica share.

    Args:
        application: The WSGI application.
        listener: The listening socket.
        admission: Decides what is done about requests.
        loop: The event loop.
        runner: Runs the loop.
        board: The replica's shared memory.
        slot: This worker's part of it.
        max_body_bytes: Longest body that is taken; above it the answer is 413.
        body_memory: Bytes of memory for all bodies together; beyond it they are kept on disk.
        gate: Decides who is let in; None where everybody is.
        fast: Whether connections use their fast paths (``CORTEX_HTTP``).
        client_timeout: Seconds that a client may do nothing in the middle of a request or an answer.
        neighbours: The other workers, to which connections may be passed on; None if there are none.
        inbox: Socket on which other workers, and the supervisor, pass connections on to this one.

    Attributes:
        draining: Whether clients are told to go.
        parser: Makes the parser of a request, from waitress's settings.
        wsgi_application: The application as it was given; waitress's ``application`` goes on with begun responses, too.
    """

    channel_class = Connection

    def __init__(
        self,
        application: WsgiApplication,
        listener: socket.socket,
        admission: Admission,
        *,
        loop: Loop,
        runner: Runner,
        board: Board,
        slot: Slot,
        max_body_bytes: int,
        body_memory: int,
        gate: Gate | None,
        fast: bool,
        client_timeout: float,
        neighbours: Neighbours | None,
        inbox: socket.socket,
    ) -> None:
        waiting_time.install()
        self.draining = False
        self.fast = fast
        self.loop = loop
        self.runner = runner
        self.neighbours = neighbours
        self.slot = slot
        self.wsgi_application = application
        self._board = board
        self._client_timeout = client_timeout
        self.parser = parser_class(fast=fast, memory=BodyMemory(body_memory), gate=gate)
        self._stopping = threading.Event()
        self._backoff = AcceptBackoff()
        super().__init__(
            resuming(application),
            loop.connections,
            True,
            listener,
            dispatcher=admission,
            adj=_adjustments(listener, max_body_bytes, client_timeout),
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )
        self._inbox = Inbox(inbox, slot, self.adopt, loop.connections)

    # Accepting

    def readable(self) -> bool:
        """Whether to accept connections: not while this worker is not ready but another one is."""
        if len(self._map) >= self.adj.connection_limit:
            self._make_room()
        return self._backoff.is_over and bool(super().readable()) and self._may_accept()

    def _may_accept(self) -> bool:
        return self._board.workers == 1 or self.slot.ready or not any(slot.ready for slot in self._board.slots())

    def accept(self) -> Any:
        """Accept a connection (called by waitress)."""
        try:
            return super().accept()
        except OSError as error:
            if self._backoff.failed(error):
                if self._make_room():
                    self._backoff.end()
                self.loop.attend(self)
            raise

    def _make_room(self) -> int:
        """Close connections that do nothing, the longest idle first: a new one may be a health probe.

        Returns:
            How many are being closed.
        """
        channels = list(self.active_channels.values())
        going: int = sum(channel.will_close for channel in channels)
        if going:
            self.loop.attend(self)  # again, until they are gone
            return going
        idle = sorted(
            (channel for channel in channels if not channel.requests),
            key=lambda channel: (bool(channel.request), channel.last_activity),
        )
        chosen = idle[: max(1, len(idle) // _ROOM_PART)]
        for channel in chosen:
            channel.cut_off()
        if chosen:
            self.loop.attend(self)
        return len(chosen)

    def adopt(self, connection: socket.socket, address: Any, data: bytes, hops: int) -> None:
        """Go on with a connection that another worker passed on.

        Args:
            connection: The connection.
            address: The client's address.
            data: What was read of its request.
            hops: How often it was passed on already.
        """
        self.channel_class(self, connection, address, self.adj, map=self._map, hops=hops).received(data)

    # Serving

    def add_task(self, task: Connection) -> None:
        """Have a connection's next request answered, once its client has taken the answer before (waitress calls)."""
        if task.is_full:
            task.when_room(partial(super().add_task, task))
        else:
            super().add_task(task)

    def serve(self) -> None:
        """Serve until ``stop``; the listening socket is closed then."""
        self.runner.run(
            self._stopping.is_set,
            lambda: self.slot.ready,
            self._show_life,
        )
        self.accepting = False
        self.del_channel()
        self.socket.close()

    def _show_life(self) -> None:
        self.slot.beat()
        self.loop.attend(self)  # whether to accept depends on other workers, and connections time out

    def now_ready(self) -> None:
        """Take connections, and those that others pass on: the predictor is built."""
        self.loop.attend(self._inbox)
        self.loop.attend(self)

    def drain(self) -> None:
        """Have every client told, with its next answer, to close its connection."""
        self.draining = True

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()
        self.loop.wake()

    def finish(self, deadline: float) -> int:
        """Answer what has been received, until ``deadline`` (``time.monotonic``).

        Returns:
            Number of connections that are left without their whole answer.
        """
        while (busy := self._busy()) and time.monotonic() < deadline:
            self.loop.turn(_DRAIN_POLL_SECONDS)
        return busy

    def _busy(self) -> int:
        return sum(
            bool(channel.requests or channel.request is not None or channel.total_outbufs_len)
            for channel in self.active_channels.values()
        )

    # Called by waitress

    def pull_trigger(self) -> None:
        """A response was written."""
        self.loop.responded()

    def maintenance(self, now: float) -> None:
        """Close connections that have been idle, have lingered, or have kept us waiting, for too long.

        Args:
            now: ``time.monotonic`` (``waiting_time``).
        """
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if channel.waits_since < now - self._client_timeout:
                channel.cut_off()
                continue
            if channel.lingers_until is not None and now > channel.lingers_until:
                channel.will_close = True
            if channel.will_close:
                self.loop.attend(channel)
