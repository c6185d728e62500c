"""Sends one request to an API."""

from __future__ import annotations

import json
import mimetypes
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cdk.errors import PredictionError
from cortex_cdk.status import LIVE, ApiStatus

# Cortex waits as long; slow models are what this command is often tried on.
TIMEOUT_SECONDS = 600
CONTENT_TYPES = {".json": "application/json", ".txt": "text/plain; charset=utf-8"}
UNTRUSTED = (
    "it must show the certificate that ACM has for its listener (you need acm:GetCertificate); "
    "trust another authority with: SSL_CERT_FILE=FILE"
)
# Those that every machine knows, and no more: what a file is sent as must not depend on what is installed.
KNOWN_TYPES = mimetypes.MimeTypes()


@dataclass(frozen=True)
class Prediction:
    """An API's answer."""

    content_type: str
    body: bytes

    def as_text(self) -> str:
        """The body for people: JSON is indented, bytes that are no text are refused by decoding.

        Raises:
            UnicodeDecodeError: The body is no text.
        """
        if self.content_type.startswith("application/json"):
            return json.dumps(json.loads(self.body), indent=2, ensure_ascii=False)
        return self.body.decode()


def content_type_of(suffix: str, body: bytes) -> str:
    """The content type of a file, by its suffix; standard input (no suffix) is JSON if it is text."""
    if suffix in CONTENT_TYPES:
        return CONTENT_TYPES[suffix]
    if not suffix and _is_text(body):
        return "application/json"
    return KNOWN_TYPES.guess_type(f"file{suffix}")[0] or "application/octet-stream"


def _is_text(body: bytes) -> bool:
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


def predict(api: ApiStatus, body: bytes, headers: Mapping[str, str], certificate: str | None = None) -> Prediction:
    """Send a request and return the answer.

    Args:
        api: Where to; it must have a replica that serves.
        body: The request's body.
        headers: The request's; of names that differ in case only, the last one counts.
        certificate: What the endpoint must show, as PEM; None accepts whatever this machine trusts.

    Raises:
        PredictionError: No replica serves, the endpoint cannot be reached, or the answer is an error.
    """
    if api.status != LIVE and not (api.replicas.up_to_date or api.replicas.stale):
        raise PredictionError(
            f"{api.name} is {api.status}: no replica can answer", hint=f"see why with: cortex logs {api.name}"
        )
    # The URL is made from a load balancer's address: http or https.
    request = urllib.request.Request(api.endpoint, data=body, headers=dict(headers))  # noqa: S310
    # An endpoint on this machine must not go through the user's proxy.
    opener = urllib.request.build_opener(*_proxy_handlers(api.endpoint), _tls(certificate))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return Prediction(answer.headers.get("Content-Type", ""), answer.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace").strip()
        raise PredictionError(
            f"{api.name} answered {error.code} {error.reason}",
            hint=f"see the replica's side with: cortex logs {api.name}"
            if error.code >= 500
            else f"see what the API takes with: curl {api.endpoint}",
            details=[] if text.lower() == error.reason.lower() else text.splitlines(),
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise PredictionError(
            f"{api.endpoint} cannot be reached: {reason}",
            hint=UNTRUSTED if isinstance(reason, ssl.SSLCertVerificationError) else None,
        ) from error


def _tls(certificate: str | None) -> urllib.request.HTTPSHandler:
    """The endpoint has the load balancer's own name, and its certificate is for the user's domain.

    So it is not the name that is checked, but that it is the load balancer's certificate, which ACM has told. Whoever
    sets ``SSL_CERT_FILE`` (a proxy that looks into TLS) trusts that file, too.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    if certificate:
        # It need not sign itself: whoever has signed it is not asked.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=certificate)
    if not certificate or os.environ.get("SSL_CERT_FILE"):
        context.load_default_certs()
    return urllib.request.HTTPSHandler(context=context)


def _proxy_handlers(url: str) -> list[Any]:
    return [urllib.request.ProxyHandler({})] if "://127.0.0.1" in url else []
