"""The ``networking`` section."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from cortex_serving.contract import LIVE_PATH, PROBE_PATHS, READY_PATH
from pydantic import BeforeValidator, Field

from cortex_cdk.config.model import Allowed, Section, Shown, Whole

# A path condition of a listener rule has at most 128 characters, and the rule also matches "<endpoint>/*".
LONGEST_ENDPOINT = 126
_CHARACTERS = re.compile(r"[A-Za-z0-9_\-./]+")


def parse_endpoint(value: Any) -> str:
    """An endpoint with a leading and without a trailing slash.

    Raises:
        ValueError: Characters, length or form are not those of an endpoint.
    """
    if not isinstance(value, str) or not _CHARACTERS.fullmatch(value) or "//" in value:
        raise ValueError("not an endpoint")
    endpoint = "/" + value.strip("/")
    if endpoint == "/" or len(endpoint) > LONGEST_ENDPOINT or endpoint in PROBE_PATHS:
        raise ValueError("not an endpoint")
    # Clients resolve "." and ".." before they send, so such a path could never be reached.
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
    """Where an API or a traffic splitter answers. Endpoints are unique."""

    # Empty until the API fills its name in (for_name).
    endpoint: Endpoint = Field(
        "", description="Path on the cluster's load balancer; everything below it belongs to the API too."
    )
    local_port: Annotated[Whole, Field(ge=1, le=65535)] | None = Field(
        None, description="Accepted, not used: locally, too, the load balancer answers for every API."
    )
    api_gateway: Literal["public", "none"] = Field(
        "public", description="Accepted, not used: requests go straight to the load balancer."
    )

    def for_name(self, name: str) -> Networking:
        """The same section with the endpoint of an API or splitter of this name, where none was given."""
        return self if self.endpoint else self.model_copy(update={"endpoint": f"/{name}"})
