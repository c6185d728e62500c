"""waitress's task for one request: the WSGI environment that the application gets, and responses that have begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from waitress.task import WSGITask

from cortex_serving.request_context import KEY, REPEATED
from cortex_serving.server.paced_stream import PacedStream, Parked

WsgiApplication = Callable[[dict[str, Any], Any], Any]


class BegunResponse(NamedTuple):
    """A response of the application that is not sent yet."""

    status: str
    headers: list[tuple[str, str]]
    pieces: Any

    def end(self) -> None:
        """Let the application clean up after a response that nobody will read."""
        if hasattr(self.pieces, "close"):
            with contextlib.suppress(OSError):
                next(self.pieces, None)  # a generator that has not begun would be closed without its cleanup
                self.pieces.close()


class ServingTask(WSGITask):  # type: ignore[misc]
    """A request to be answered by the application."""

    channel: Any
    request: Any
    environ: dict[str, Any] | None

    def start(self) -> None:
        """Begin the response; a draining replica tells its clients to go."""
        if self._goes_on:
            return
        super().start()
        if self.channel.server.draining and len(self.channel.requests) == 1:
            self.set_close_on_finish()

    @property
    def _goes_on(self) -> bool:
        """Whether the response's header was sent before the task was parked."""
        stream = self.request.exchange.stream
        return stream is not None and stream.parked

    def execute(self) -> None:
        """Run the application and send its answer, or go on with a stream that was parked.

        Raises:
            Parked: The client has to take some of the stream first.
        """
        if not self._goes_on:
            super().execute()
            return
        stream = self.request.exchange.stream
        stream.parked = False
        try:
            for piece in stream:
                if piece:
                    self.write(piece)
            if self.content_length not in (None, self.content_bytes_written):
                self.set_close_on_finish()  # as waitress does: the client must not wait for the rest
        finally:
            stream.close()

    def write(self, data: bytes) -> None:
        """Send data; leave the task there if it is a stream, and too much of it waits to be sent."""
        super().write(data)
        stream = self.request.exchange.stream
        if stream is not None and self.channel.is_full:
            stream.parked = True
            raise Parked(self)

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with the request's exchange; the one that was made before, if there is any."""
        exchange = self.request.exchange
        if exchange.environ is not None:
            self.environ, exchange.environ = exchange.environ, None
        environ: dict[str, Any] = super().get_environment()
        environ[KEY] = exchange
        if exchange.key_header:  # a predictor may log its headers
            environ.pop(exchange.key_header, None)
        if self.request.repeated:
            environ[REPEATED] = self.request.repeated
        return environ


def resuming(application: WsgiApplication) -> WsgiApplication:
    """The application as waitress's tasks call it: goes on with a response that has begun, or an error of one.

    Args:
        application: Called where nothing has begun.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        exchange = environ[KEY]
        begun, exchange.begun = exchange.begun, None
        if isinstance(begun, Exception):
            raise begun
        if begun is None:
            pieces = application(environ, start_response)
        else:
            start_response(begun.status, begun.headers)
            pieces = begun.pieces
        if not exchange.can_park or isinstance(pieces, list):
            return pieces
        exchange.stream = PacedStream(pieces)
        return exchange.stream

    return answer


def end_unsent(exchange: Any) -> None:
    """End a response that the application has begun and nobody took, as its client had gone meanwhile."""
    begun, exchange.begun, exchange.environ = exchange.begun, None, None
    stream, exchange.stream = exchange.stream, None
    if isinstance(begun, BegunResponse):
        begun.end()
    if stream is not None and stream.parked:
        stream.end()
