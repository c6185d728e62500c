"""Which web pages may use the API: cross-origin resource sharing (``networking.cors``).

A browser sends what a page asks for, and withholds the answer unless the API allows the page's origin (Fetch standard,
3.2 "CORS protocol"). Some requests are sent without asking first, so that an API must refuse those of other pages
itself, or they would be predicted although nobody may read the answer. Credentials are never allowed: an API has no
cookies, and a page sends its key in a header.

By default pages of every origin may use an API, as in Cortex. But a cluster's API on a loopback address is this
machine's own: there, only pages that are on a loopback address, too (docs/decisions/0049).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import falcon

from cortex_serving.access.refusals import NotAllowed
from cortex_serving.contract import ANY_ORIGIN

_METHODS = "GET, POST"
_MAX_AGE_SECONDS = "600"


class Origins:
    """The origins whose pages may use an API.

    Args:
        allowed: Origins, such as ``https://app.example.com``, or ``*``; None for the default.
        base_url: Scheme and host of the API's load balancer; empty outside a cluster.
    """

    def __init__(self, allowed: Sequence[str] | None, base_url: str) -> None:
        self._named = frozenset(allowed or ())
        self._is_default = allowed is None
        self._is_here = is_loopback(base_url)
        self._in_cluster = bool(base_url)

    @property
    def are_all(self) -> bool:
        """Whether no page is ever refused."""
        return ANY_ORIGIN in self._named or (self._is_default and not self._in_cluster)

    def refusal(self, headers: Mapping[str, str]) -> NotAllowed | None:
        """Return the answer to a request of a page that may not use the API; None for any other request.

        Args:
            headers: The request's headers, by their names as waitress writes them: ``ORIGIN``.
        """
        origin = headers.get("ORIGIN")
        if origin is None:
            return None
        host = headers.get("HOST", "")
        if self._are_all_at(host) or self._allows(origin) or self._is_own(origin, host):
            return None
        return NotAllowed("web pages of this origin may not use the API (networking.cors)")

    def write_headers(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Write into a response which page may read it."""
        everyone = self._are_all_at(req.env.get("HTTP_HOST", ""))
        if not everyone:
            resp.append_header("Vary", "Origin")  # for caches (Fetch standard, "CORS protocol and HTTP caches")
        origin = req.env.get("HTTP_ORIGIN")
        if origin is None or not (everyone or self._allows(origin)):
            return
        resp.set_header("Access-Control-Allow-Origin", ANY_ORIGIN if everyone else origin)
        if req.method == "OPTIONS":
            resp.set_header("Access-Control-Allow-Methods", _METHODS)
            resp.set_header("Access-Control-Max-Age", _MAX_AGE_SECONDS)
            resp.set_header("Access-Control-Allow-Headers", req.get_header("Access-Control-Request-Headers") or "*")

    def _are_all_at(self, host: str) -> bool:
        """Whether pages of all origins may use the API by this name: not this machine's own API, by default."""
        if not self._is_default:
            return ANY_ORIGIN in self._named
        return not (self._is_here or (self._in_cluster and is_loopback(f"http://{host}")))

    def _allows(self, origin: str) -> bool:
        return origin in self._named or (self._is_default and is_loopback(origin))

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether a page comes from the API's own address. By default, on loopback, a page may have chosen ``Host``."""
        return not self._is_default and origin.partition("://")[2] == host


@functools.lru_cache(maxsize=256)  # each request asks about its own Host
def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine, by an address or a name that no DNS server decides about (RFC 6761, 6.3)."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
