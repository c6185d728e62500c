"""What is sent to an API."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cortex_serving.contract import KEY_HEADER

from cortex_cdk.errors import PredictionError

KEY_VARIABLE = "CORTEX_API_KEY"
"""Environment variable with the key that requests are sent with."""
TIMEOUT_SECONDS = 600.0
"""Cortex waits as long; slow models are what predictions are often tried on."""
_CREDENTIALS = ("authorization", KEY_HEADER.lower())


@dataclass(frozen=True)
class Call:
    """What is sent to an API.

    Attributes:
        body: The request's body.
        headers: Its headers; of names that differ in case only, the last one counts.
        query: Names and values that are added to the URL.
        key: An API key, or a token; None takes the one in ``CORTEX_API_KEY``, if it is set.
        method: The HTTP method.
        path: Of the request, below the API's endpoint.
        timeout: Seconds that the API may send nothing.
    """

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    key: str | None = field(default=None, repr=False)
    method: str = "POST"
    path: str = ""
    timeout: float = TIMEOUT_SECONDS

    def sent_headers(self) -> dict[str, str]:
        """The headers with the key, by names in lower case.

        Raises:
            PredictionError: The key has characters that no key has.
        """
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = self.key or os.environ.get(KEY_VARIABLE)
        if key and not any(name in headers for name in _CREDENTIALS):
            headers["authorization"] = f"Bearer {_checked(key)}"
        return headers


def _checked(key: str) -> str:
    """Return a key as a header may have it.

    Raises:
        PredictionError: It has characters that no key has. The error does not show it.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise PredictionError(
            f"the API key has blanks, or characters that no key has: is {KEY_VARIABLE} what cortex key create printed?"
        )
    return key
