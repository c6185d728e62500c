"""Sends requests, and keeps connections for the next ones.

Connections are kept by the certificate that they were checked against, and each for ``IDLE_SECONDS``: less than the
load balancer keeps them, so that no request meets a connection that is being closed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cortex_cdk.predict.answers import Answer
from cortex_cdk.predict.call import Call
from cortex_cdk.predict.refusals import refused, unreachable
from cortex_cdk.predict.route import Route, trusted
from cortex_cdk.predict.timing import Timing

if TYPE_CHECKING:
    import httpx

IDLE_SECONDS = 30.0


def options(route: Route) -> dict[str, Any]:
    """How httpx is set up for a route; the same for both of its clients."""
    import httpx

    # As many connections as there are requests at a time; the user's threads are the limit.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=IDLE_SECONDS)
    return {"verify": trusted(route.certificate), "limits": limits, "proxy": route.proxy, "trust_env": False}


class Connections:
    """Sends requests. May be used by several threads at once."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str | None, str | None], httpx.Client] = {}
        self._making = threading.Lock()

    @contextmanager
    def send(self, route: Route, call: Call, timing: Timing | None = None) -> Iterator[Answer]:
        """Send a request. The answer can be read while the context is open.

        Args:
            route: Where to.
            call: What to send.
            timing: Hears what takes how long.

        Raises:
            PredictionError: The endpoint cannot be reached, or the answer is an error.
        """
        response = self._timed(route, call, timing) if timing else self._response(route, call)
        try:
            if not response.is_success:
                with Answer(route.api, response).reading():
                    body = response.read()
                raise refused(route.api, response.status_code, response.headers, body)
            yield Answer(route.api, response)
        finally:
            response.close()
            if timing:
                timing.end(response.status_code, response.headers, response.num_bytes_downloaded)

    def close(self) -> None:
        """Close every connection."""
        with self._making:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _client(self, route: Route) -> httpx.Client:
        import httpx

        with self._making:
            key = route.certificate, route.proxy
            if key not in self._clients:
                self._clients[key] = httpx.Client(**options(route))
            return self._clients[key]

    def _response(self, route: Route, call: Call, timing: Timing | None = None) -> httpx.Response:
        import httpx

        request = route.request(call)
        if timing:
            request.extensions["trace"] = timing.hear
        try:
            return self._client(route).send(request, stream=True)
        except (httpx.HTTPError, OSError) as error:
            raise unreachable(route.api, error) from error

    def _timed(self, route: Route, call: Call, timing: Timing) -> httpx.Response:
        """Look the host's name up apart, to know how long that takes, and try the addresses one after the other."""
        import httpx

        self._client(route)  # made once for many requests, so that it belongs to none
        timing.begin(len(call.body), call.headers)
        for way in _ways(route):
            timing.looked_up()
            try:
                return self._response(way, call, timing)
            except Exception as error:
                if not isinstance(error.__cause__, httpx.ConnectError):
                    raise
        return self._response(route, call, timing)


def _ways(route: Route) -> Iterator[Route]:
    """The same route by way of each address of its host; none where a proxy looks the name up."""
    door = route.door
    if route.proxy or door.hostname is None:
        return
    try:
        found = socket.getaddrinfo(door.hostname, door.port or door.scheme, type=socket.SOCK_STREAM)
    except OSError:
        return  # the request itself says so
    for family, _, _, _, address in found:
        host, port = str(address[0]), int(address[1])
        yield route.by_way_of(f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}")
