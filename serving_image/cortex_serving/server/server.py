"""waitress, set up for a worker: our dispatcher, our error bodies, the changes of ``http``, a loop that can drain."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import WSGITask

from cortex_serving.contract import CONNECTION_IDLE_TIMEOUT_S
from cortex_serving.request_context import KEY
from cortex_serving.scheduling.admission import Dispatcher
from cortex_serving.server.accept_backoff import PatientAccepts
from cortex_serving.server.connection_passing import Inbox, Neighbours
from cortex_serving.server.direct_writes import BufferedWrites, DirectWrites
from cortex_serving.server.event_loop import EpollLoop, EpollMap, Poll2Loop, available
from cortex_serving.server.joint_writes import Together
from cortex_serving.server.leader_follower import Leader, MainThreadOnly
from cortex_serving.server.linger import Lingering
from cortex_serving.server.rejected_requests import CarefulParser, RefusalTask
from cortex_serving.server.request_body import LargeReceives
from cortex_serving.server.request_parser import SpoolingTableParser, TableParser
from cortex_serving.server.response_writer import TemplateReply, replaying
from cortex_serving.server.whole import WholeRequests
from cortex_serving.server.wsgi_environ import CopiedEnvironment
from cortex_serving.shared_state import Board, State

BACKLOG = 2048


class ServingTask:
    """Mixin for tasks: tells the application about a request's admission, and a draining replica's clients to go."""

    channel: Any
    request: Any
    environ: dict[str, Any] | None

    def start(self) -> None:
        """Begin the response."""
        super().start()  # type: ignore[misc]
        if self.channel.server.draining and len(self.channel.requests) == 1:
            self.set_close_on_finish()  # type: ignore[attr-defined]

    def get_environment(self) -> Any:
        """The WSGI environment, with the request's exchange; the one that was made before, if there is any."""
        exchange = self.request.exchange
        if exchange.environ is not None:
            self.environ, exchange.environ = exchange.environ, None
        environ = super().get_environment()  # type: ignore[misc]
        environ[KEY] = exchange
        return environ


class ServingChannel(Lingering):
    """A connection."""

    error_task_class = RefusalTask
    wsgi_constants: dict[str, Any] | None = None
    receiving = False  # whether a request has come in part
    hops = 0  # how often it was passed on with the request that is about to begin

    def received(self, data: bytes) -> bool:
        """Take bytes of a request, or pass the connection on before its request begins."""
        neighbours = self.server.neighbours
        if neighbours is None:
            return bool(super().received(data))
        begins = self.request is None and not self.requests and data[:5] == b"POST "
        if begins and neighbours.pass_on(self.socket, data, self.hops):
            self.handle_close()
            return True
        self.hops = 0
        taken = bool(super().received(data))
        self._note_receiving(self.request is not None)
        return taken

    def environment_of(self, request: Any) -> Any:
        """The WSGI environment of a request that is not to be answered yet."""
        return self.task_class(self, request).get_environment()

    def keep_environment(self, request: Any, environ: Any) -> None:
        """Have the request answered with an environment that was made of it before."""
        request.exchange.environ = environ

    def kept_environment(self, request: Any) -> Any:
        """The environment that was kept and has not been used, no longer kept; None if there is none."""
        environ, request.exchange.environ = request.exchange.environ, None
        return environ

    def service(self) -> None:
        """Answer a request."""
        super().service()
        if self.server.loop.unsettled(self):
            self.server.attend(self)

    def write_soon(self, data: Any) -> int:
        """Send data, or have it sent when the socket takes it; returns its length."""
        written: int = super().write_soon(data)
        if self.total_outbufs_len and self.server.loop.unsettled(self):
            self.server.attend(self)
        return written

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection (called by waitress when it is closed)."""
        self._note_receiving(False)
        super().del_channel(map)

    def _note_receiving(self, receiving: bool) -> None:
        """Tell the other workers about a request that has begun: its body may take a while to come."""
        if receiving != self.receiving:
            self.receiving = receiving
            self.server.slot.receiving += 1 if receiving else -1


def make_channel_class(changes: frozenset[str]) -> type[ServingChannel]:
    """The class of connections with these changes."""
    task = (ServingTask, CopiedEnvironment, WSGITask) if "environment" in changes else (ServingTask, WSGITask)
    parser = HTTPRequestParser
    if "request" in changes:
        parser = TableParser if "bodies" in changes else SpoolingTableParser
    mixins = {"bodies": LargeReceives, "whole": WholeRequests, "reply": TemplateReply}
    channel = (
        DirectWrites if "direct" in changes else BufferedWrites,
        ServingChannel,
        *(mixin for change, mixin in mixins.items() if change in changes),
    )
    classes = {"task_class": type("Task", task, {}), "parser_class": type("Parser", (CarefulParser, parser), {})}
    return type("Channel", channel, classes)


def _adjustments(listener: socket.socket, max_body_bytes: int) -> Adjustments:
    return Adjustments(
        sockets=[listener],
        ident=None,
        connection_limit=10_000,
        channel_timeout=CONNECTION_IDLE_TIMEOUT_S,
        max_request_body_size=max_body_bytes + 1,  # waitress refuses the very size
        backlog=BACKLOG,
        clear_untrusted_proxy_headers=False,  # nothing here trusts them, and the check costs every request
        log_socket_errors=False,
    )


class ServingServer(PatientAccepts, TcpWSGIServer):  # type: ignore[misc]
    """The server of one worker, on the socket that all workers of the replica share.

    Args:
        application: The WSGI application.
        listener: The listening socket.
        dispatcher: Who works on requests.
        board: The replica's shared memory.
        worker: Number of this worker.
        max_body_bytes: Longest body that is taken; above it the answer is 413.
        changes: Changes of ``http`` to use.
    """

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        dispatcher: Dispatcher,
        *,
        board: Board,
        worker: int,
        max_body_bytes: int,
        changes: frozenset[str],
    ) -> None:
        self.draining = False
        self.neighbours: Neighbours | None = None
        self._inbox: Inbox | None = None
        self.slot = board.slot(worker)
        self.channel_class = make_channel_class(changes)
        self.plain_application = application
        self._board = board
        self._worker = worker
        self._stopping = threading.Event()
        self._epoll = "epoll" in changes and available
        sockets: Any = EpollMap() if self._epoll else {}
        self.loop: EpollLoop | Poll2Loop = EpollLoop(sockets) if self._epoll else Poll2Loop(sockets)
        super().__init__(
            replaying(application),
            sockets,
            True,
            listener,
            dispatcher=dispatcher,
            adj=_adjustments(listener, max_body_bytes),
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )
        leads = "leader" in changes and self._epoll
        lane = dispatcher.predict
        self.runner: Leader | MainThreadOnly = MainThreadOnly(self.loop.turn, lane)
        if leads:
            self.runner = Leader(self.loop.turn, self.wake, lane, Together() if "together" in changes else None)
        dispatcher.lead(self.runner)

    def readable(self) -> bool:
        """Whether to accept connections: not while this worker is not ready but another one is."""
        return bool(super().readable()) and self._may_accept()

    def _may_accept(self) -> bool:
        if self._board.workers == 1:
            return True
        states = [slot.state for slot in self._board.slots()]
        return states[self._worker] is State.READY or State.READY not in states

    def join(self, neighbours: Neighbours, inbox: socket.socket) -> None:
        """Share requests with the other workers of the replica."""
        self.neighbours = neighbours
        self._inbox = Inbox(self, inbox, self._map)

    def adopt(self, connection: socket.socket, address: Any, data: bytes, hops: int) -> None:
        """Go on with a connection that another worker passed on."""
        channel: Any = self.channel_class(self, connection, address, self.adj, map=self._map)
        channel.hops = hops
        channel.received(data)

    def serve(self) -> None:
        """Serve until ``stop``; the listening socket is closed then."""
        self.runner.run(
            self._stopping.is_set,
            lambda: self.slot.state is State.READY,
            lambda: self.loop.attend(self),  # whether to accept depends on other workers, and connections time out
        )
        self.accepting = False
        self.del_channel()
        self.socket.close()

    def finish(self, deadline: float) -> int:
        """Answer what has been received, until ``deadline`` (``time.monotonic``).

        Returns:
            Number of connections that are left without their whole answer.
        """
        while (busy := self._busy()) and time.monotonic() < deadline:
            self.loop.turn(0.05)
        return busy

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()
        self.wake()

    def now_ready(self) -> None:
        """The predictor is built: take connections, and those that others pass on."""
        if self._inbox is not None:
            self.loop.attend(self._inbox)
        self.attend(self)

    def wake(self) -> None:
        """End a wait in the loop."""
        self.trigger.pull_trigger()

    def attend(self, connection: Any) -> None:
        """Have the loop look at what a connection wants now."""
        self.loop.attend(connection)
        self.wake()

    def pull_trigger(self) -> None:
        """waitress's wake-up after every response; with epoll, connections say themselves when they need it."""
        if not self._epoll:
            super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Close connections that have been idle for too long (called by waitress)."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            if channel.lingers_until is not None and now > channel.lingers_until:
                channel.will_close = True
            if channel.will_close:
                self.loop.attend(channel)

    def _busy(self) -> int:
        return sum(
            bool(channel.requests or channel.request is not None or channel.total_outbufs_len)
            for channel in self.active_channels.values()
        )
