"""One client's connection: receives requests, has them answered, sends the answers.

``Connection`` is waitress's channel with two kinds of change. With either setting of ``CORTEX_HTTP``: a connection is
passed on to a worker that is less busy, stays open for a while after a rejected request, and tells the event loop when
it wants something else. With ``fast`` only: large receives, sends without a buffer in between, and ordinary responses
without a task. Whatever a fast path does not recognise goes to waitress's own code, which ``super()`` always is here.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress.channel import ClientDisconnected, HTTPChannel

from cortex_serving.server.paced_stream import FULL_BYTES, ROOM_BYTES, Parked
from cortex_serving.server.rejected_requests import RejectedRequestTask
from cortex_serving.server.request_body import RECEIVE_BYTES, RECEIVE_BYTES_OF_BODY
from cortex_serving.server.response_headers import ordinary_head
from cortex_serving.server.wsgi_task import BegunResponse, ServingTask, end_unsent

if TYPE_CHECKING:
    from cortex_serving.server.server import ServingServer

LINGER_SECONDS = 30.0  # as nginx's lingering_time
_STILL_THERE = b"HTTP/1.1 100 Continue\r\n\r\n"
_JOIN_BYTES = 65536  # above this, header and body are handed to the kernel as two pieces instead of being joined


class Connection(HTTPChannel):  # type: ignore[misc]
    """A connection with a client or a load balancer.

    Args:
        server: The worker's server, with the collaborators of a connection: ``loop``, ``runner``, ``neighbours``.
        connection: The connected socket.
        address: The client's address.
        adjustments: waitress's settings.
        map: The event loop's connections by descriptor.
        hops: How often the connection was passed on with the request that is about to begin.

    Attributes:
        refused: Whether a request was rejected, so that more of it may come.
        shut: Whether the client sends nothing more, which was noticed while its request was being answered.
        lingers_until: ``time.monotonic`` when a connection that lingers is closed; None while it does not linger.
    """

    error_task_class = RejectedRequestTask

    server: ServingServer
    socket: Any
    requests: list[Any]
    request: Any
    total_outbufs_len: int
    current_outbuf_count: int
    connected: bool
    close_when_flushed: bool

    refused = False
    shut = False
    lingers_until: float | None = None
    _is_receiving = False
    _parked: ServingTask | None = None
    _go_on: Callable[[], None] | None = None  # to be called once there is room

    def __init__(
        self,
        server: ServingServer,
        connection: socket.socket,
        address: Any,
        adjustments: Any,
        *,
        map: dict[int, Any] | None = None,
        hops: int = 0,
    ) -> None:
        self.parser_class = server.parser
        self._fast = server.fast
        self._hops = hops
        super().__init__(server, connection, address, adjustments, map=map)

    # Receiving

    def handle_read(self) -> None:
        """Receive: large pieces while a body comes, small ones of what may be a header only."""
        if not self._fast:
            super().handle_read()
            return
        in_body = self.request is not None and self.request.body_rcv is not None
        try:
            data = self.socket.recv(RECEIVE_BYTES_OF_BODY if in_body else RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if data:
            self.last_activity = time.monotonic()
            self.received(data)
        else:
            self.handle_close()

    @property
    def waits_since(self) -> float:
        """Since when (``time.monotonic``) this end waits for the client in the middle of something; infinity if not.

        A header has to be whole in time; a body, and the client's reading, only have to go on.
        """
        if self.total_outbufs_len:
            return self.last_activity
        if self.request is None or self.requests:
            return math.inf
        return self.last_activity if self.request.headers_finished else float(self.request.began)

    def received(self, data: bytes) -> bool:
        """Take bytes of a request, or pass the connection on before its request begins.

        Returns:
            Whether the bytes were taken.
        """
        if self.lingers_until is not None:
            self._throw_away()
            return True
        neighbours = self.server.neighbours
        if neighbours is not None:
            begins = self.request is None and not self.requests and data[:5] == b"POST "
            if begins and neighbours.pass_on(self.socket, data, self._hops):
                self.handle_close()
                return True
            self._hops = 0
        taken: bool = super().received(data)
        if neighbours is not None:
            self._note_receiving(self.request is not None)
        if self.request is not None:
            self.request.began = self.request.began or time.monotonic()
        return taken

    def _note_receiving(self, receiving: bool) -> None:
        """Tell the other workers about a request that has begun: its body may take a while to come."""
        if receiving != self._is_receiving:
            self._is_receiving = receiving
            self.server.slot.receiving += 1 if receiving else -1

    def del_channel(self, map: dict[int, Any] | None = None) -> None:
        """Forget the connection (called by waitress when it is closed)."""
        self._note_receiving(False)
        super().del_channel(map)

    # The client goes. The end of its sending side is all that shows, and means one of two things: the client has closed
    # the connection, or it still waits for its answer (RFC 9293, 3.6: a half-closed connection). So a client whose
    # request waits is sent an interim answer, which clients of HTTP/1.1 read past (RFC 9110, 15.2): the system of one
    # that has gone answers with a reset. nginx, Envoy and HAProxy take both for gone.

    def shut_by_client(self) -> None:
        """Ask whether the client is still there (called by the loop, once, if nothing more comes from the client)."""
        self.shut = True
        for request in self.requests[:1]:
            with self.outbuf_lock:  # who works on the request sends under this lock: an interim answer comes first
                waits = request.exchange is not None and request.exchange.waits
                if waits and request.version == "1.1" and not self.total_outbufs_len:
                    with contextlib.suppress(OSError):
                        self.socket.send(_STILL_THERE)

    def handle_close(self) -> None:
        """Close the connection; a request of it that waits is dropped, and a stream that is parked ends."""
        super().handle_close()
        self._look_for_room()
        for request in self.requests[:1]:
            if request.exchange is not None:
                request.exchange.abandon()

    def cut_off(self) -> None:
        """Have the loop close the connection, even if it would never be ready for anything again.

        Not at once: its descriptor's number must not have another connection while the loop works on what happened.
        """
        self.will_close = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    # Answering

    def environment_of(self, request: Any) -> dict[str, Any]:
        """The WSGI environment of a request that is not answered yet."""
        return ServingTask(self, request).get_environment()

    def task_class(self, channel: Connection, request: Any) -> ServingTask:
        """The task of a request (waitress asks): the one that is parked, or a new one."""
        task, self._parked = self._parked, None
        return task or ServingTask(channel, request)

    def service(self) -> bool:
        """Answer the first request, or go on with its stream (called by a thread that has it as its task).

        Returns:
            Whether the request is done with; if not, its exchange is told when to go on.
        """
        request = self.requests[0]
        if self._parked is not None or not self._answer_fast(request):
            try:
                super().service()
            except Parked as left:
                self._park(left.task, request.exchange)
                return False
            if not request.error:
                end_unsent(request.exchange)
        if self.request is not None:
            self.request.began = time.monotonic()  # nothing of it could be received meanwhile
        loop = self.server.loop
        if loop.unsettled(self):
            loop.attend(self)
        return True

    def _answer_fast(self, request: Any) -> bool:
        """Answer an ordinary request at once if its response is ordinary, too; False if waitress has to go on.

        Ordinary: HTTP/1.1, on a connection that stays open, with a body in the answer.
        """
        if (
            not self._fast
            or request.error
            or request.version != "1.1"
            or request.connection_close
            or request.command == "HEAD"
            or self.server.draining
            or not self.connected
        ):
            return False
        environ = self.environment_of(request)
        if not self._respond(environ, request.exchange):
            request.exchange.environ = environ
            return False
        if self.current_outbuf_count > 0:  # the next response begins a buffer of its own, as in waitress
            self.current_outbuf_count = self.adj.outbuf_high_watermark
        request.close()
        with self.requests_lock:
            self.requests.pop(0)
            if self.connected and (self.requests or self.request is not None):
                self._begin_next()
        self.server.loop.responded()
        self.last_activity = time.monotonic()
        return True

    def _begin_next(self) -> None:
        """Do what waitress does between two requests of a connection."""
        if self.requests:
            self.server.add_task(self)
        elif self.request.expect_continue and self.request.headers_finished and not self.sent_continue:
            self.send_continue()

    def _respond(self, environ: dict[str, Any], exchange: Any) -> bool:
        """Run the application, and send its response if that is ordinary.

        Returns:
            False if waitress has to send the response: ``exchange.begun`` is what came of the application.
        """
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if exc_info is None and not started:
                started.append((status, headers))
                return None
            raise AssertionError("start_response was called twice")

        try:
            pieces = self.server.wsgi_application(environ, start_response)
            status, headers = started[0]
            if type(pieces) is list and len(pieces) <= 1 and self._sent(status, headers, pieces[0] if pieces else b""):
                return True
            exchange.begun = BegunResponse(status, headers, pieces)
        except Exception as error:
            exchange.begun = error
        return False

    def _sent(self, status: str, headers: list[tuple[str, str]], body: bytes) -> bool:
        """Send a response if it is ordinary; False, with nothing done, if it is not."""
        head = ordinary_head(status, headers, len(body))
        if head is None:
            return False
        if len(body) > _JOIN_BYTES:
            self._write_both(head, body)
        elif len(self.requests) > 1 or not self.server.runner.hold(self._send_held, head + body):
            # The answer to this connection's next request must not overtake this one.
            self.write_soon(head + body)
        return True

    # Sending

    def write_soon(self, data: Any) -> int:
        """Send data, at once as far as the socket takes it, the rest when it takes more.

        Bytes keep their order: nothing is sent at once while anything waits in a buffer.

        Returns:
            The length of the data.

        Raises:
            ClientDisconnected: The connection is closed.
        """
        sent = self._send_now([data]) if self._fast and data and type(data) is bytes else 0
        if sent and sent == len(data):
            return sent
        if not self.total_outbufs_len:
            self.last_activity = time.monotonic()  # from here on the client is waited for
        written: int = super().write_soon(data[sent:] if sent else data)
        if self.total_outbufs_len and self.server.loop.unsettled(self):
            self.server.loop.attend(self)
        return sent + written

    def _write_both(self, head: bytes, body: bytes) -> None:
        """Send a header and a large body without joining them in memory."""
        sent = self._send_now([head, body])
        for part in (head, body):
            if sent < len(part):
                self.write_soon(part[sent:] if sent else part)
            sent = max(0, sent - len(part))

    def _send_held(self, data: bytes) -> None:
        try:
            self.write_soon(data)
        except ClientDisconnected:
            return

    def _send_now(self, parts: list[bytes]) -> int:
        """Send what the socket takes at once; returns how many bytes.

        An error counts as nothing sent: waitress's own way meets it again, and handles it.
        """
        if self.total_outbufs_len or not self.connected:
            return 0
        lock = self.outbuf_lock
        lock.acquire()  # a Condition, whose own "with" is written in Python and costs as much as the rest here
        try:
            # Asked again, as the loop sends what waits, and closes the connection of a client that has gone.
            if self.total_outbufs_len or not self.connected:
                return 0
            sent: int = self.socket.send(parts[0]) if len(parts) == 1 else self.socket.sendmsg(parts)
            return sent
        except OSError:
            return 0
        finally:
            lock.release()

    # Waiting for the client: no thread waits until a client takes what it is sent. A stream is parked instead, and the
    # next request of the connection is held back. Both go on when there is room, or the client has gone.

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that nothing more should be produced for this client."""
        return self.total_outbufs_len > FULL_BYTES

    def when_room(self, go_on: Callable[[], None]) -> None:
        """Have a function called once, by any thread, when the client has taken most of its answer, or has gone."""
        with self.outbuf_lock:
            self._go_on = go_on
        self.server.loop.attend(self)
        self._look_for_room()

    def _park(self, task: ServingTask, exchange: Any) -> None:
        self._parked = task
        self.when_room(lambda: exchange.resume(connected=self.connected))

    def _look_for_room(self) -> None:
        with self.outbuf_lock:
            if self._go_on is None or (self.connected and self.total_outbufs_len > ROOM_BYTES):
                return
            go_on, self._go_on = self._go_on, None
        go_on()

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Nothing, where waitress waits for the client: what waits to be sent is bounded by parking."""

    # Lingering: a socket that is closed with data unread resets the connection, and the reset throws the answer away
    # before the client, or the load balancer, has read it (RFC 9112, 9.6). So after a rejected request only the sending
    # side is closed, and what still comes is thrown away, until the client closes its side, or for LINGER_SECONDS.

    def handle_write(self) -> None:
        """Send what waits to be sent; then close the connection, or linger, if that is due."""
        if not (self.refused and self.close_when_flushed):
            super().handle_write()
            self._look_for_room()
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
        self.lingers_until = time.monotonic() + LINGER_SECONDS

    def _throw_away(self) -> None:
        if self.lingers_until is not None and time.monotonic() > self.lingers_until:
            self.handle_close()
