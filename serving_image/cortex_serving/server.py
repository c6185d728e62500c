"""waitress, set up for a worker: our dispatcher, our error bodies, a loop that can drain."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import orjson
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask

from cortex_serving.board import Board, State
from cortex_serving.handover import Inbox, Neighbours

# Above the load balancer's idle timeout (60 s unless configured, at most 4000 s): a connection that the
# balancer still holds must not be closed under it, or requests fail with 502 (aws.md 2.3).
CHANNEL_TIMEOUT = 4200
BACKLOG = 2048


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Errors that the HTTP parser finds, as JSON."""

    def execute(self) -> None:
        """Write the error."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        body = orjson.dumps({"error": f"{error.reason}: {error.body}"})
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class ServingTask(WSGITask):  # type: ignore[misc]
    """A request: tells the application about its admission, and a draining replica's clients to go elsewhere."""

    def start(self) -> None:
        """Begin the response."""
        super().start()
        if self.channel.server.draining and len(self.channel.requests) == 1:
            self.set_close_on_finish()

    def get_environment(self) -> Any:
        """The WSGI environment, with the request's ticket."""
        environ = super().get_environment()
        environ["cortex.ticket"] = self.request.ticket
        return environ


class ServingChannel(HTTPChannel):  # type: ignore[misc]
    """A connection."""

    task_class = ServingTask
    error_task_class = JsonErrorTask
    receiving = False  # whether a request has come in part
    hops = 0  # how often it was passed on with the request that is about to begin

    def received(self, data: bytes) -> bool:
        """Take bytes of a request, or pass the connection on before its request begins."""
        if (
            self.server.neighbours is not None
            and self.request is None
            and not self.requests
            and data[:5] == b"POST "
            and self.server.neighbours.pass_on(self.socket, data, self.hops)
        ):
            self.handle_close()
            return True
        self.hops = 0
        taken = bool(super().received(data))
        self._note_receiving(self.request is not None)
        return taken

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection (called by waitress when it is closed)."""
        self._note_receiving(False)
        super().del_channel(map)

    def _note_receiving(self, receiving: bool) -> None:
        """Tell the other workers about a request that has begun: its body may take a while to come."""
        if receiving != self.receiving:
            self.receiving = receiving
            self.server.slot.receiving += 1 if receiving else -1


class ServingServer(TcpWSGIServer):  # type: ignore[misc]
    """The server of one worker, on the socket that all workers of the replica share.

    Args:
        application: The WSGI application.
        listener: The listening socket.
        dispatcher: Who works on requests.
        board: The replica's shared memory.
        worker: Number of this worker.
        max_body_bytes: Longest body that is taken; above it the answer is 413.
    """

    channel_class = ServingChannel

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        dispatcher: Any,
        *,
        board: Board,
        worker: int,
        max_body_bytes: int,
    ) -> None:
        self.draining = False
        self.neighbours: Neighbours | None = None
        self._board = board
        self._worker = worker
        self.slot = board.slot(worker)
        self._stopping = threading.Event()
        adjustments = Adjustments(
            sockets=[listener],
            ident=None,
            connection_limit=10_000,
            channel_timeout=CHANNEL_TIMEOUT,
            max_request_body_size=max_body_bytes,
            backlog=BACKLOG,
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
        )
        info = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application, {}, True, listener, dispatcher=dispatcher, adj=adjustments, sockinfo=info, bind_socket=False
        )

    def readable(self) -> bool:
        """Whether to accept connections: not while this worker is not ready but another one is."""
        return bool(super().readable()) and self._may_accept()

    def _may_accept(self) -> bool:
        states = [slot.state for slot in self._board.slots()]
        return states[self._worker] is State.READY or State.READY not in states

    def join(self, neighbours: Neighbours, inbox: socket.socket) -> None:
        """Share requests with the other workers of the replica."""
        self.neighbours = neighbours
        Inbox(self, inbox, self._map)

    def adopt(self, connection: socket.socket, address: Any, data: bytes, hops: int) -> None:
        """Go on with a connection that another worker passed on."""
        channel = self.channel_class(self, connection, address, self.adj, map=self._map)
        channel.hops = hops
        channel.received(data)

    def serve(self) -> None:
        """Serve until ``stop``, then until the requests that have arrived are answered."""
        while not self._stopping.is_set():
            wasyncore.poll2(1, self._map)
        self.accepting = False
        self.del_channel()
        self.socket.close()

    def finish(self, deadline: float) -> None:
        """Answer what has been received, until ``deadline`` (``time.monotonic``)."""
        while self._busy() and time.monotonic() < deadline:
            wasyncore.poll2(0.05, self._map)

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()
        self.pull_trigger()

    def wake(self) -> None:
        """Make the loop look again at whether to accept connections."""
        self.pull_trigger()

    def _busy(self) -> bool:
        return any(
            channel.requests or channel.request is not None or channel.total_outbufs_len
            for channel in self.active_channels.values()
        )
