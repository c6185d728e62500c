"""Tells Envoy the endpoints of target groups: one stream for all (incremental aggregated discovery over gRPC).

Of files Envoy would watch one for each target group, and a watch each: Linux gives a user 128 of them, all programs
together, and Envoy aborts where it gets none. On the stream only those groups are sent that have changed.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from cortex_cdk.localcloud.services.elbv2 import endpoint_messages
from cortex_cdk.localcloud.services.elbv2.bell import Bell
from cortex_cdk.localcloud.services.elbv2.routing import Group

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 5.0
RECEIVED_AT_ONCE = 64 * 1024


class EndpointServer:
    """The server on a Unix socket, of which Envoy is the only client.

    Args:
        path: Path of the socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._assignments: dict[str, bytes] = {}
        self._closing = False
        self._bell = Bell()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._run, name="endpoints", daemon=True)

    def open(self) -> None:
        """Begin to answer."""
        self._path.unlink(missing_ok=True)
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen()
        self._thread.start()

    def close(self) -> None:
        """End the streams."""
        self._closing = True
        self._bell.ring()
        self._thread.join()
        self._listener.close()
        self._bell.close()
        self._path.unlink(missing_ok=True)

    def publish(self, groups: Iterable[Group]) -> None:
        """Tell Envoy of the groups whose endpoints have changed."""
        self._assignments = {group.name: endpoint_messages.assignment(group) for group in groups}
        self._bell.ring()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            streams: list[_Stream] = []
            while not self._closing:
                for key, _ in selector.select():
                    if key.fileobj is self._bell:
                        self._bell.answer()
                    elif isinstance(key.fileobj, _Stream):
                        key.fileobj.receive()
                    else:
                        streams.append(_Stream(self._listener.accept()[0]))
                        selector.register(streams[-1], selectors.EVENT_READ)
                for stream in streams:
                    stream.offer(self._assignments)
                for ended in [stream for stream in streams if stream.is_over]:
                    streams.remove(ended)
                    selector.unregister(ended)
                    ended.close()
            for stream in streams:
                stream.close()


class _Stream:
    """A connection from Envoy, and the stream on it. An error ends it: Envoy makes another one.

    Attributes:
        is_over: Whether nothing will come any more.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.is_over = False
        self._connection = connection
        self._connection.settimeout(SEND_TIMEOUT)
        self._http = H2Connection(H2Configuration(client_side=False))
        self._http.initiate_connection()
        self._stream: int | None = None
        self._received = bytearray()
        self._unsent = bytearray()
        self._told: dict[str, bytes | None] = {}
        self._messages = 0

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._connection.fileno()

    def receive(self) -> None:
        """Take what Envoy has sent."""
        try:
            received = self._connection.recv(RECEIVED_AT_ONCE)
            self.is_over = not received
            for event in self._http.receive_data(received):
                if isinstance(event, RequestReceived):
                    self._stream = event.stream_id
                    self._http.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
                elif isinstance(event, DataReceived):
                    self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    self._received += event.data
                elif isinstance(event, (StreamEnded, StreamReset, ConnectionTerminated)):
                    self.is_over = True
            for message in endpoint_messages.taken_out(self._received):
                self._subscribe(message)
        except (OSError, ProtocolError) as error:
            self._fail(error)

    def _subscribe(self, message: bytes) -> None:
        wanted, unwanted = endpoint_messages.subscriptions(message)
        # A group that is asked for again is told again.
        self._told |= dict.fromkeys(wanted)
        for name in unwanted:
            self._told.pop(name, None)

    def offer(self, assignments: Mapping[str, bytes]) -> None:
        """Send those assignments that Envoy wants to hear of and does not know."""
        news = {name: assignments[name] for name, told in self._told.items() if assignments.get(name, told) != told}
        if news:
            self._messages += 1
            self._unsent += endpoint_messages.enveloped(endpoint_messages.update(news, self._messages))
            self._told |= news
        try:
            self._send()
        except (OSError, ProtocolError) as error:
            self._fail(error)

    def _send(self) -> None:
        """Send as much as Envoy is ready to take."""
        while self._unsent and self._stream is not None:
            window = self._http.local_flow_control_window(self._stream)
            size = min(len(self._unsent), window, self._http.max_outbound_frame_size)
            if size <= 0:
                break
            self._http.send_data(self._stream, bytes(self._unsent[:size]))
            del self._unsent[:size]
        if due := self._http.data_to_send():
            self._connection.sendall(due)

    def _fail(self, error: Exception) -> None:
        if not self.is_over:
            logger.warning("The stream of endpoints to the load balancer (Envoy) has ended: %s", error)
        self.is_over = True

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
