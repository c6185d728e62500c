"""The gate in front of an API: looks at each request's headers, before its body, and decides who is let in.

A request costs a look-up by the key's id and one SHA-256, 3 us together. The hashes are compared in constant time, so
that nothing of them can be found out by measuring answers.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cortex_serving.access.origins import Origins
from cortex_serving.access.refusals import AccessRefused, KeyMissing, KeysUnknown, NotAllowed
from cortex_serving.contract import KEY_HEADER, PROBE_PATHS
from cortex_serving.formats.access_keys import FORM, AccessKey, digest, split

_OWN_HEADER = KEY_HEADER.upper().replace("-", "_")
_SCHEME = "bearer"
_NO_KEY = f"the API needs a key: send it as Authorization: Bearer {FORM}, or as {KEY_HEADER}: {FORM}"
_NOT_A_KEY = f"what was sent is not a key: a key looks like {FORM}"
_WRONG_KEY = "the key is not one of this cluster's"


class Judgement(NamedTuple):
    """What the gate says about a request.

    Attributes:
        key: Name of the key whose secret the request knows; empty where there is none.
        header: Header that holds the key, as WSGI names it; empty where there is none.
        refusal: The answer to a request that is not let in.
    """

    key: str = ""
    header: str = ""
    refusal: AccessRefused | None = None


LET_IN = Judgement()
_NOBODY = AccessKey(id="", name="", sha256="")  # no hash is equal to the empty one


class Gate:
    """Lets in who has a key, where the API asks for one, and the web pages that may use the API.

    Args:
        api: The API's name.
        origins: The origins of those pages.
        asks_for_key: Whether a key is needed.
    """

    def __init__(self, api: str, origins: Origins, *, asks_for_key: bool) -> None:
        self._api = api
        self._origins = origins
        self._asks_for_key = asks_for_key
        self._keys: Mapping[str, AccessKey] | None = None

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in, so that nobody need be judged."""
        return self._origins.are_all and not self._asks_for_key

    def know(self, keys: Iterable[AccessKey] | None) -> None:
        """Take the keys of the cluster (from any thread); None while nobody knows them, so that all are refused."""
        self._keys = None if keys is None else {key.id: key for key in keys}

    def judge(self, method: str, path: str, headers: Mapping[str, str]) -> Judgement:
        """Decide about a request. Health probes are let in, and preflights of browsers, which carry no key.

        Args:
            method: Its method.
            path: Its path.
            headers: Its headers, by their names as waitress writes them: ``X_API_KEY``.
        """
        if path in PROBE_PATHS and method in ("GET", "HEAD"):
            return LET_IN
        if refusal := self._origins.refusal(headers):
            return Judgement(refusal=refusal)
        if not self._asks_for_key or method == "OPTIONS":
            return LET_IN
        # The API's own header first: a predictor may have a use for Authorization.
        if (own := headers.get(_OWN_HEADER)) is not None:
            return self._look_up(own, f"HTTP_{_OWN_HEADER}")
        scheme, _, key = headers.get("AUTHORIZATION", "").partition(" ")
        if scheme.lower() != _SCHEME:
            return Judgement(refusal=KeyMissing(_NO_KEY))
        return self._look_up(key, "HTTP_AUTHORIZATION")

    def _look_up(self, text: str, header: str) -> Judgement:
        parts, keys = split(text.strip()), self._keys
        if parts is None:
            return Judgement(refusal=KeyMissing(_NOT_A_KEY))
        if keys is None:
            return Judgement(refusal=KeysUnknown())
        id, secret = parts
        known = keys.get(id, _NOBODY)
        if not hmac.compare_digest(digest(secret), known.sha256):
            return Judgement(refusal=KeyMissing(_WRONG_KEY))
        reason = known.refused_because(time.time())
        if reason is None and known.apis and self._api not in known.apis:
            reason = f"is not for the API {self._api}"
        return Judgement(known.name, header, NotAllowed(f"the key {known.name} {reason}") if reason else None)
