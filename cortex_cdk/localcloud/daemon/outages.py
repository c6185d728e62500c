"""Services of the AWS API that answer nothing but errors for a while, as ``cortex local chaos`` asks.

Replicas and users meet what an outage of the service in their region would show them: status 503, again and again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.daemon.storage.bodies import write_durably
from cortex_cdk.localcloud.services.iam import api_call

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FILE = "outages.json"
CODES = {"s3": "ServiceUnavailable", "logs": "ServiceUnavailableException"}
"""The error's code by service (API references: "Error responses" of S3, "Common errors" of CloudWatch Logs)."""
MESSAGES = {"s3": "Reduce your request rate.", "logs": "The service cannot complete the request."}


class Outages:
    """The services that are down, each until a moment.

    Args:
        folder: The state folder, which keeps the outages over a restart.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._until: dict[str, float] = {}
        with suppress(OSError, ValueError, AttributeError):
            self._until = {str(name): float(until) for name, until in json.loads(self._path.read_text()).items()}

    def begin(self, service: str, seconds: float) -> None:
        """Let a service be down from now on.

        Args:
            service: Its name in a request's signature.
            seconds: For how long.
        """
        self._store({**self._until, service: steady_clock.now() + seconds})

    def end(self, service: str) -> None:
        """Let a service answer again."""
        self._store({name: until for name, until in self._until.items() if name != service})

    def active(self) -> dict[str, float]:
        """Return the seconds that are left of each outage, by service."""
        now = steady_clock.now()
        return {name: until - now for name, until in self._until.items() if until > now}

    def strikes(self, environ: WSGIEnvironment) -> tuple[str, str] | None:
        """Return the error's code and message for a request; None where its service is not down."""
        down = self.active()
        if not down:
            return None
        service = api_call.service(environ)
        return (CODES[service], MESSAGES[service]) if service in down else None

    def _store(self, until: dict[str, float]) -> None:
        self._until = until
        write_durably(self._path, json.dumps(until).encode())
