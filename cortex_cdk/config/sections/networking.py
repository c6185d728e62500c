"""The ``networking`` section: the path of an API or splitter."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from cortex_serving.contract import LIVE_PATH, PROBE_PATHS, READY_PATH
from pydantic import BeforeValidator, Field

from cortex_cdk.config.model import Allowed, Section, Shown, Whole

# A path condition of a listener rule has at most 128 characters (ELBv2), and the rule also matches "<endpoint>/*".
LONGEST_ENDPOINT = 126
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


class Networking(Section):
    """The path of an API or a traffic splitter, unique in the cluster."""

    # Empty until for_name fills in the API's name.
    endpoint: Endpoint = Field(
        "", description="Path on the cluster's load balancer. All paths below belong to the API too."
    )
    local_port: Annotated[Whole, Field(ge=1, le=65535)] | None = Field(
        None, description="Accepted, not used: APIs share the load balancer's port in the local cloud too."
    )
    api_gateway: Literal["public", "none"] = Field(
        "public", description="Accepted, not used: requests go straight to the load balancer."
    )

    def for_name(self, name: str) -> Networking:
        """Return the section with the default endpoint of this name, unless the user gave an endpoint."""
        return self if self.endpoint else self.model_copy(update={"endpoint": f"/{name}"})
