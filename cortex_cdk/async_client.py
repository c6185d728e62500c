"""Predictions without a thread for each of them.

import asyncio

from cortex_cdk import AsyncClient


async def main():
    async with AsyncClient("local") as client:
        return await asyncio.gather(*(client.predict("iris-classifier", flower) for flower in flowers))
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any

from cortex_cdk.errors import PredictionError
from cortex_cdk.predict.answers import AsyncAnswer
from cortex_cdk.predict.api import AsyncApi
from cortex_cdk.predict.async_connections import AsyncConnections
from cortex_cdk.predict.call import Call
from cortex_cdk.predict.description import PATH, Description
from cortex_cdk.predict.route import Route
from cortex_cdk.predict.values import NOTHING, call_of
from cortex_cdk.prediction_client import PredictionClient


class AsyncClient:
    """Sends requests to the APIs of one environment, for one event loop.

    Where an API answers is read on a thread, once a minute; requests need none. Everything else is done by ``Client``,
    on a thread where the loop must go on: ``await asyncio.to_thread(client.deploy, "iris")``.

    Args:
        environment: Its name; None takes the default.

    Raises:
        CloudError: There is no environment of that name.
    """

    def __init__(self, environment: str | None = None) -> None:
        self._client = PredictionClient(environment, None)
        self._connections = AsyncConnections()
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to APIs."""
        await self._connections.aclose()

    async def predict(self, name: str, payload: Any = NOTHING, **options: Any) -> Any:
        """Send a request to an API and return the answer: see ``Client.predict``, whose arguments it takes."""
        async with self.send(name, call_of(payload, **options)) as answer:
            return (await answer.whole()).value()

    def stream(self, name: str, payload: Any = NOTHING, **options: Any) -> AbstractAsyncContextManager[AsyncAnswer]:
        """Send a request to an API, and read the answer while it comes.

            async with client.stream("story", {"about": "rain"}) as answer:
                async for part in answer:
                    print(part, end="", flush=True)

        Args:
            name: The API or splitter.
            payload: As for ``Client.predict``.
            options: The other arguments of ``Client.predict``.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success.
        """
        return self.send(name, call_of(payload, **options))

    @asynccontextmanager
    async def send(self, name: str, call: Call) -> AsyncIterator[AsyncAnswer]:
        """Send a request to an API, and read the answer while it comes: see ``Client.send``."""
        route = self._client.known_route(name) or await self._route(name)
        try:
            async with self._connections.send(route, call) as answer:
                yield answer
        except PredictionError as error:
            if error.is_gone:
                await asyncio.to_thread(self._client.read_anew, name)
            raise

    async def _route(self, name: str) -> Route:
        async with self._reading:  # the first of many requests reads, the others find what it has read
            return await asyncio.to_thread(self._client.route, name)

    async def api(self, name: str, *, key: str | None = None) -> AsyncApi:
        """Return an API as an object: ``await (await client.api("iris")).predict(sepal_length=5.2, ...)``.

        Args:
            name: The API or splitter.
            key: The API key; None takes the one in ``CORTEX_API_KEY``, if it is set.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success.
        """
        async with self.send(name, Call(method="GET", path=PATH, key=key)) as answer:
            description = Description(name, json.loads((await answer.whole()).body))
        options = {"key": key} if key else {}
        return AsyncApi(description, (await self._route(name)).api.endpoint, partial(self.send, name), options)
