"""The ``networking`` section: the path of an API or splitter, and who may use it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from cortex_serving.contract import ANY_ORIGIN, LIVE_PATH, PROBE_PATHS, READY_PATH
from pydantic import BeforeValidator, Field

from cortex_cdk.config.model import Allowed, Section, Shown, Whole, or_written_as
from cortex_cdk.config.sections.auth import Auth, AuthField

# A path condition of a listener rule has at most 128 characters (ELBv2), and the rule also matches "<endpoint>/*".
LONGEST_ENDPOINT = 126
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_CHARACTERS = re.compile(r"[A-Za-z0-9_\-./]+")


def parse_endpoint(value: Any) -> str:
    """Check an endpoint.

    Args:
        value: The endpoint, with or without slashes at its ends.

    Returns:
        The endpoint with a leading slash and without a trailing one.

    Raises:
        ValueError: The characters, the length or the form are not allowed.
    """
    if not isinstance(value, str) or not _CHARACTERS.fullmatch(value) or "//" in value:
        raise ValueError("not an endpoint")
    endpoint = "/" + value.strip("/")
    if endpoint == "/" or len(endpoint) > LONGEST_ENDPOINT or endpoint in PROBE_PATHS:
        raise ValueError("not an endpoint")
    # Clients resolve "." and ".." before they send a request, so no request would ever have such a path.
    if any(part in (".", "..") for part in endpoint.split("/")):
        raise ValueError("not an endpoint")
    return endpoint


Endpoint = Annotated[
    str,
    BeforeValidator(parse_endpoint),
    Allowed(
        f"a path of at most {LONGEST_ENDPOINT} characters from A-Z a-z 0-9 _ - . /, without //, not / itself, "
        f"{LIVE_PATH} or {READY_PATH}"
    ),
    Shown("/<name>"),
]


def parse_cors(value: Any) -> tuple[str, ...]:
    """Check the origins of web pages.

    Args:
        value: ``off`` (a boolean in YAML), ``*``, or a list of origins.

    Returns:
        The origins; empty for ``off``.

    Raises:
        ValueError: One of them is no origin.
    """
    if value in (False, "off"):
        return ()
    if value == ANY_ORIGIN:
        return (ANY_ORIGIN,)
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError("not a list of origins")
    if not all(one == ANY_ORIGIN or _ORIGIN.fullmatch(one) for one in value):
        raise ValueError("not an origin")
    return tuple(value)


Cors = Annotated[
    tuple[str, ...],
    BeforeValidator(parse_cors),
    Allowed('off, "*", or a list of origins such as https://app.example.com (lower case, no path)'),
]


class Networking(Section):
    """The path of an API or a traffic splitter, unique in the cluster, and who may use it."""

    # Empty until for_name fills in the API's name.
    endpoint: Endpoint = Field(
        "", description="Path on the cluster's load balancer. All paths below belong to the API too."
    )
    auth: AuthField = Field(
        default_factory=Auth, description="Who may send requests.", json_schema_extra=or_written_as("string")
    )
    cors: Annotated[Cors | None, Shown('"*"')] = Field(
        None,
        description="Origins of the web pages that may use the API. By default all (on this machine: only pages that "
        "are on this machine, too).",
        json_schema_extra=or_written_as("boolean", "string"),
    )
    local_port: Annotated[Whole, Field(ge=1, le=65535)] | None = Field(
        None, description="Accepted, not used: APIs share the load balancer's port in the local cloud too."
    )
    api_gateway: Literal["public", "none"] = Field(
        "public", description="Accepted, not used: requests go straight to the load balancer."
    )

    @property
    def served(self) -> dict[str, Any]:
        """What replicas need of it; what has its default is left out, so that it changes no revision."""
        auth = {"auth": self.auth.kind} if self.auth.api_key else {}
        return auth if self.cors is None else {**auth, "cors": list(self.cors)}

    def for_name(self, name: str) -> Networking:
        """Return the section with the default endpoint of this name, unless the user gave an endpoint."""
        return self if self.endpoint else self.model_copy(update={"endpoint": f"/{name}"})
