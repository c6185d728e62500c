"""What an API answers: whole, or its parts as they come."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_serving.contract import REQUEST_ID_HEADER, REVISION_HEADER

from cortex_cdk.errors import PredictionError
from cortex_cdk.predict.content_types import EVENTS, JSON_LINES, is_json, media_type
from cortex_cdk.predict.events import Event, EventReader
from cortex_cdk.predict.json_text import indented
from cortex_cdk.predict.refusals import broke_off, replicas_side
from cortex_cdk.status.read_status import ApiStatus

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Prediction:
    """An API's whole answer.

    Attributes:
        content_type: The value of its ``Content-Type``.
        body: Its bytes.
    """

    content_type: str
    body: bytes

    def value(self) -> Any:
        """The answer as a Python value: that of JSON, a list of those of JSON lines, text, or else bytes."""
        kind = media_type(self.content_type)
        try:
            if is_json(kind):
                return json.loads(self.body)
            if kind in JSON_LINES:
                return [json.loads(line) for line in self.body.splitlines() if line.strip()]
            if kind.startswith("text/"):
                return self.body.decode(_charset(self.content_type))
        except (ValueError, LookupError):
            pass  # not what its type promises
        return self.body

    def as_text(self) -> str:
        """Write the body for people: JSON is indented, with its numbers as they were answered.

        Raises:
            ValueError: The body is no text, or not the JSON that its type promises.
        """
        return indented(_json_text(self.body)) if is_json(self.content_type) else self.body.decode()

    def within(self, depth: int) -> str | None:
        """Write the body as a part of a JSON document, so deep in it; None for a body that is no JSON."""
        try:
            return indented(_json_text(self.body), depth) if is_json(self.content_type) else None
        except ValueError:
            return None


def _json_text(body: bytes) -> str:
    return body.decode(json.detect_encoding(body), "surrogatepass")


def _charset(content_type: str) -> str:
    _, _, after = content_type.lower().partition("charset=")
    return after.partition(";")[0].strip(" \"'") or "utf-8"


class _Head:
    """The head of an answer."""

    def __init__(self, api: ApiStatus, response: httpx.Response) -> None:
        self._api = api
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; their names in any case."""
        return self._response.headers

    @property
    def content_type(self) -> str:
        """The value of ``Content-Type``."""
        return str(self._response.headers.get("content-type", ""))

    @property
    def request_id(self) -> str | None:
        """By which the replica's log knows the request."""
        return self.headers.get(REQUEST_ID_HEADER)

    @property
    def revision(self) -> str | None:
        """The revision of the API that answered."""
        return self.headers.get(REVISION_HEADER)

    @property
    def is_document(self) -> bool:
        """Whether the answer is one JSON document, of which a part is of no use."""
        return is_json(self.content_type)

    @property
    def _kind(self) -> str:
        return media_type(self.content_type)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Word what httpx says of a body that ends too early."""
        import httpx

        try:
            yield
        except (httpx.TransportError, httpx.DecodingError, httpx.StreamError) as error:
            raise broke_off(self._api, error, self.headers) from error

    def _item(self, event: Event) -> Any:
        """What an event holds.

        Raises:
            PredictionError: The event says that the predictor failed.
        """
        if event.event == "error":
            raise PredictionError(
                f"the stream of {self._api.name} ended with an error: {event.data}",
                hint=replicas_side(self._api, self.headers),
                request_id=self.request_id,
            )
        try:
            return event.value()
        except ValueError:
            return event.data


class Answer(_Head):
    """An API's answer while it comes. Iterating yields what the predictor yielded: see ``items``."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, each part as soon as it has come.

        Raises:
            UnavailableError: The answer broke off.
        """
        with self.reading():
            yield from self._response.iter_bytes()

    def lines(self) -> Iterator[str]:
        """Yield the lines of a text, without their ends."""
        with self.reading():
            yield from self._response.iter_lines()

    def events(self) -> Iterator[Event]:
        """Yield server-sent events."""
        reader = EventReader()
        for line in self.lines():
            if event := reader.take(line):
                yield event

    def items(self) -> Iterator[Any]:
        """Yield what the predictor yielded: the values of JSON lines and events, else parts of text, or bytes.

        Raises:
            PredictionError: The stream ended with an error.
        """
        if self._kind == EVENTS:
            yield from map(self._item, self.events())
        elif self._kind in JSON_LINES:
            yield from (json.loads(line) for line in self.lines() if line.strip())
        elif self._kind.startswith("text/"):
            with self.reading():
                yield from self._response.iter_text()
        else:
            yield from self.chunks()

    __iter__ = items

    def whole(self) -> Prediction:
        """Read the whole body.

        Raises:
            UnavailableError: The answer broke off.
        """
        return Prediction(self.content_type, b"".join(self.chunks()))


class AsyncAnswer(_Head):
    """An API's answer while it comes, for ``async for``. The methods are those of ``Answer``."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, each part as soon as it has come.

        Raises:
            UnavailableError: The answer broke off.
        """
        with self.reading():
            async for chunk in self._response.aiter_bytes():
                yield chunk

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of a text, without their ends."""
        with self.reading():
            async for line in self._response.aiter_lines():
                yield line

    async def events(self) -> AsyncIterator[Event]:
        """Yield server-sent events."""
        reader = EventReader()
        async for line in self.lines():
            if event := reader.take(line):
                yield event

    async def items(self) -> AsyncIterator[Any]:
        """Yield what the predictor yielded: the values of JSON lines and events, else parts of text, or bytes.

        Raises:
            PredictionError: The stream ended with an error.
        """
        if self._kind == EVENTS:
            async for event in self.events():
                yield self._item(event)
        elif self._kind in JSON_LINES:
            async for line in self.lines():
                if line.strip():
                    yield json.loads(line)
        elif self._kind.startswith("text/"):
            with self.reading():
                async for text in self._response.aiter_text():
                    yield text
        else:
            async for chunk in self.chunks():
                yield chunk

    __aiter__ = items

    async def whole(self) -> Prediction:
        """Read the whole body.

        Raises:
            UnavailableError: The answer broke off.
        """
        return Prediction(self.content_type, b"".join([chunk async for chunk in self.chunks()]))
