"""Requests that the HTTP parser refuses: answered by the application like any other, so that they have an id and count.

A refused request may end anywhere, so its connection ends with the answer.
"""

from __future__ import annotations

import time
from typing import Any

import falcon
from waitress.task import WSGITask
from waitress.utilities import InternalServerError, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from cortex_serving.request_context import KEY, Exchange, Verdict


class RefusalTask(WSGITask):  # type: ignore[misc]
    """Has the application answer a request with the parser's error, or with an unexpected one of the application."""

    request: Any

    def start(self) -> None:
        """Begin the response."""
        super().start()
        self.channel.refused = True
        self.set_close_on_finish()

    def get_environment(self) -> Any:
        """The WSGI environment: what was understood of the request."""
        error = self.request.error
        if isinstance(error, InternalServerError):  # of a new request that waitress made for this
            failed, self.request = self.request, self.channel.requests[0]
            exchange = _again(self.request.exchange)
            exchange.refusal = falcon.HTTPInternalServerError(description="internal server error")
            environ = super().get_environment()
            self.request = failed
        else:
            exchange = self.request.exchange
            exchange.refusal = falcon.HTTPError(f"{error.code} {error.reason}", description=self._describe(error))
            if isinstance(error, RequestHeaderFieldsTooLarge) or not hasattr(self.request, "path"):
                _forget(self.request)
            environ = super().get_environment()
        environ[KEY] = exchange
        return environ

    def _describe(self, error: Any) -> str:
        if isinstance(error, RequestEntityTooLarge):
            limit = self.channel.adj.max_request_body_size - 1
            return f"{error.reason}: the body is larger than {limit} bytes (predictor.max_body_bytes)"
        return f"{error.reason}: {error.body}"


def _again(exchange: Exchange) -> Exchange:
    """For another answer to a request that was counted already."""
    again = Exchange(exchange.arrived, None, Verdict.CONTROL)
    again.request_id = exchange.request_id
    again.answered = time.perf_counter()
    return again


def _forget(request: Any) -> None:
    """Let nothing be known of what was requested; waitress itself would take a too long header for ``GET /``."""
    request.command = request.path = "-"
    request.request_uri = request.query = ""
    request.url_scheme = request.adj.url_scheme


class CarefulParser:
    """Mixin for parsers.

    A request that is refused is not told to continue (RFC 9110, 10.1.1). One that says its length as a number and as
    chunks may be an attempt at smuggling: it is the last of its connection (RFC 9112, 6.1).
    """

    error: Any
    expect_continue: bool
    chunked: bool
    headers: dict[str, str]

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header block."""
        super().parse_header(header_plus)  # type: ignore[misc]
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            self.headers["CONNECTION"] = "close"
            self.connection_close = True

    def received(self, data: bytes) -> int:
        """Take data; returns how much of it belongs to this request."""
        consumed: int = super().received(data)  # type: ignore[misc]
        if self.error is not None:
            self.expect_continue = False
        return consumed
