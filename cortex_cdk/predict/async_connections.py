"""Sends requests without a thread for each of them. See ``connections``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cortex_cdk.predict.answers import AsyncAnswer
from cortex_cdk.predict.call import Call
from cortex_cdk.predict.connections import options
from cortex_cdk.predict.refusals import refused, unreachable
from cortex_cdk.predict.route import Route

if TYPE_CHECKING:
    import httpx


class AsyncConnections:
    """Sends the requests of one event loop."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str | None, str | None], httpx.AsyncClient] = {}

    @asynccontextmanager
    async def send(self, route: Route, call: Call) -> AsyncIterator[AsyncAnswer]:
        """Send a request. The answer can be read while the context is open.

        Args:
            route: Where to.
            call: What to send.

        Raises:
            PredictionError: The endpoint cannot be reached, or the answer is an error.
        """
        import httpx

        request = route.request(call)
        try:
            response = await self._client(route).send(request, stream=True)
        except (httpx.HTTPError, OSError) as error:
            raise unreachable(route.api, error) from error
        try:
            if not response.is_success:
                with AsyncAnswer(route.api, response).reading():
                    body = await response.aread()
                raise refused(route.api, response.status_code, response.headers, body)
            yield AsyncAnswer(route.api, response)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _client(self, route: Route) -> httpx.AsyncClient:
        import httpx

        key = route.certificate, route.proxy
        if key not in self._clients:
            self._clients[key] = httpx.AsyncClient(**options(route))
        return self._clients[key]
