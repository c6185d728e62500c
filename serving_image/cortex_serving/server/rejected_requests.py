"""Requests that the HTTP parser rejects (400, 401, 403, 413, 431, 501): answered by the application like any other.

So they have an id, an access line and a count in the metrics. A rejected request may end anywhere, so its connection
ends with the answer.
"""

from __future__ import annotations

import time
from typing import Any

import falcon
from waitress.task import WSGITask
from waitress.utilities import Error, InternalServerError, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from cortex_serving.request_context import KEY, Exchange, Verdict


class RefusedUnread(Error):  # type: ignore[misc]
    """The error of a request that is not let in, and whose body has not come yet.

    Args:
        refusal: The answer.
    """

    def __init__(self, refusal: falcon.HTTPError) -> None:
        super().__init__(refusal.description)
        self.refusal = refusal


class RejectedRequestTask(WSGITask):  # type: ignore[misc]
    """Has the application answer a request with the parser's error, or with an unexpected error of the application."""

    request: Any

    def start(self) -> None:
        """Begin the response."""
        super().start()
        self.channel.refused = True
        self.set_close_on_finish()

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, as far as the request was understood."""
        error = self.request.error
        if isinstance(error, InternalServerError):  # of a new request that waitress made for this
            failed, self.request = self.request, self.channel.requests[0]
            exchange = _again(self.request.exchange)
            exchange.refusal = falcon.HTTPInternalServerError(description="internal server error")
            environ: dict[str, Any] = super().get_environment()
            self.request = failed
        else:
            exchange = self.request.exchange
            exchange.refusal = self._refusal(error)
            cut = isinstance(error, RequestHeaderFieldsTooLarge) and not self.request.headers_finished
            if cut or not hasattr(self.request, "path"):
                _forget(self.request)
            environ = super().get_environment()
        environ[KEY] = exchange
        return environ

    def _refusal(self, error: Any) -> falcon.HTTPError:
        if isinstance(error, RefusedUnread):
            return error.refusal
        return falcon.HTTPError(f"{error.code} {error.reason}", description=self._describe(error))

    def _describe(self, error: Any) -> str:
        if isinstance(error, RequestEntityTooLarge):
            limit = self.channel.adj.max_request_body_size - 1
            return f"{error.reason}: the body is larger than {limit} bytes (predictor.max_body_bytes)"
        return f"{error.reason}: {error.body}"


def _again(exchange: Exchange) -> Exchange:
    """An exchange for another answer to a request that was counted already."""
    again = Exchange(exchange.arrived, None, Verdict.CONTROL)
    again.request_id = exchange.request_id
    again.answered = time.perf_counter()
    return again


def _forget(request: Any) -> None:
    """Make the target of a request unknown; waitress itself would take a too long header for ``GET /``."""
    request.command = request.path = "-"
    request.request_uri = request.query = ""
    request.url_scheme = request.adj.url_scheme
