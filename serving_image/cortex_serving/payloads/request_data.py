"""The arguments ``query_params`` and ``headers`` of ``predict``, which behave as in Cortex (cortex.md 1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import falcon

from cortex_serving.request_context import REPEATED


class MultiMapping(Mapping[str, Any]):
    """A mapping that may hold several values of a name; ``mapping[name]`` is the last one.

    Args:
        pairs: Names and values in their order.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> Any:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def getlist(self, name: str) -> list[Any]:
        """Return all values of a name, in order; an empty list for an unknown name."""
        return [value for key, value in self._pairs if key == name]

    def multi_items(self) -> list[tuple[str, Any]]:
        """Return all pairs of names and values, in order."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class QueryParams(MultiMapping):
    """The query parameters of a request; as text, a query string."""

    def __str__(self) -> str:
        return urlencode(self._pairs)


class Headers(MultiMapping):
    """The headers of a request; the case of names does not matter.

    A header that came several times is one text here, its values joined by commas (RFC 9110, 5.3); ``getlist`` returns
    them one by one.

    Args:
        pairs: Names and values.
        repeated: All values of the names that came more than once.
    """

    def __init__(self, pairs: list[tuple[str, Any]], repeated: Mapping[str, Sequence[str]]) -> None:
        super().__init__(pairs)
        self._repeated = repeated

    def __getitem__(self, name: str) -> Any:
        return self._last[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._last

    def getlist(self, name: str) -> list[Any]:
        """Return all values of a header, in order; an empty list for an unknown name."""
        name = name.lower()
        return list(self._repeated.get(name) or super().getlist(name))


def query_params(environ: Mapping[str, Any]) -> QueryParams:
    """Read the query parameters from a WSGI environment.

    Raises:
        falcon.HTTPBadRequest: The query string is not UTF-8.
    """
    try:
        return QueryParams(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise falcon.HTTPBadRequest(description="the query string is not UTF-8 text") from error


def headers(environ: Mapping[str, Any]) -> Headers:
    """Read the headers from a WSGI environment."""
    pairs = [(key[5:].lower().replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")]
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if environ.get(key):
            pairs.append((name, environ[key]))
    return Headers(pairs, environ.get(REPEATED, {}))
