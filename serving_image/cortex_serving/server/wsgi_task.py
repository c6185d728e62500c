"""waitress's task for one request: the WSGI environment that the application gets, and responses that have begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from waitress.task import WSGITask

from cortex_serving.request_context import KEY, REPEATED

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
        super().start()
        if self.channel.server.draining and len(self.channel.requests) == 1:
            self.set_close_on_finish()

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
        if begun is None:
            return application(environ, start_response)
        if isinstance(begun, Exception):
            raise begun
        start_response(begun.status, begun.headers)
        return begun.pieces

    return answer
