"""The section ``networking.auth``: who may send requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from cortex_serving.contract import API_KEY_AUTH
from pydantic import BeforeValidator, Field

from cortex_cdk.config.model import Allowed, Conflict, Section, Shown

LONGEST_URL = LONGEST_CLAIM = 256
MOST_CLAIMS = MOST_VALUES = 10
"""Limits of the ELBv2 API (JwtValidationActionConfig, JwtValidationActionAdditionalClaim)."""
CHECKED_ANYWAY = frozenset({"exp", "iss", "nbf", "iat"})


def _https_url(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_URL or any(char.isspace() for char in value):
        raise ValueError("not a URL")
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("not an HTTPS URL")
    return value


def _claims(value: Any) -> dict[str, str | list[str]]:
    if not isinstance(value, Mapping) or len(value) > MOST_CLAIMS:
        raise ValueError("not claims")
    for name, wanted in value.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if not isinstance(name, str) or not name or name in CHECKED_ANYWAY or not 1 <= len(values) <= MOST_VALUES:
            raise ValueError("not a claim")
        if not all(isinstance(one, str) and 1 <= len(one) <= LONGEST_CLAIM for one in values):
            raise ValueError("not a claim's value")
    return dict(value)


HttpsUrl = Annotated[
    str,
    BeforeValidator(_https_url),
    Allowed(f"an HTTPS URL of at most {LONGEST_URL} characters, such as https://login.example.com/keys.json"),
]
Claims = Annotated[
    dict[str, Any],
    BeforeValidator(_claims),
    Allowed(
        f"a map of at most {MOST_CLAIMS} names, other than exp, iss, nbf and iat, each with a text or a list of up to "
        f"{MOST_VALUES} texts"
    ),
]


class Jwt(Section):
    """Tokens of a provider of identities (OpenID Connect, OAuth 2), which the load balancer validates.

    It checks the signature (RS256), `iss` and `exp`, and `nbf` and `iat` where they are there. The cluster needs HTTPS.
    """

    issuer: HttpsUrl = Field(description="Who issues the tokens: their claim `iss`, exactly.")
    jwks: HttpsUrl = Field(description="Where the issuer publishes its keys. The load balancer must reach it.")
    claims: Claims = Field(
        default_factory=dict,
        description="Further claims that a token must have: a text for a single value, a list for an array. "
        "`scope` takes a list of the words in it.",
    )


def _spelled_out(value: Any) -> Any:
    if value == API_KEY_AUTH:
        return {API_KEY_AUTH: True}
    if value == "none":
        return {}
    if isinstance(value, Auth):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("not a kind of authentication")
    return value


class Auth(Section):
    """Who may send requests: everybody (`none`), who has an API key (`api_key`), or who has a token (`jwt`).

    See [authentication](authentication.md). `auth: api_key` is short for `auth: {api_key: true}`.
    """

    api_key: bool = Field(False, description="Whether each request needs a key that `cortex key create` made.")
    jwt: Jwt | None = Field(None, description="Tokens that the load balancer validates.")

    @property
    def kind(self) -> str:
        """``none``, ``api_key`` or ``jwt``."""
        return API_KEY_AUTH if self.api_key else "jwt" if self.jwt else "none"

    @property
    def identity(self) -> str:
        """A text that is equal for two sections that ask for the same: the kind, or the section ``jwt`` as JSON."""
        return self.jwt.model_dump_json() if self.jwt else self.kind

    def rules(self) -> Iterator[Conflict]:
        if self.api_key and self.jwt:
            yield Conflict((("jwt",), (API_KEY_AUTH,)), f"cannot stand beside {API_KEY_AUTH}: choose one of them")


AuthField = Annotated[
    Auth, BeforeValidator(_spelled_out), Allowed(f"none, {API_KEY_AUTH}, or a map with jwt"), Shown("none")
]
