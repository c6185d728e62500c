"""Where an API answers, and how its load balancer is known to be the right one."""

from __future__ import annotations

import os
import ssl
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cortex_cdk.aws.cloud import is_loopback
from cortex_cdk.predict.call import Call
from cortex_cdk.predict.refusals import unreachable_now
from cortex_cdk.status.read_status import LIVE, ApiStatus

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Route:
    """Where requests for an API go.

    Attributes:
        api: The API or splitter.
        certificate: What the endpoint must show, as PEM; None accepts whatever this machine trusts.
        address: The load balancer to connect to, whatever the endpoint's name leads to: a record needs time to spread,
            and none leads to the local cloud. None connects to the endpoint.
    """

    api: ApiStatus
    certificate: str | None = None
    address: str | None = None

    def checked(self) -> Route:
        """This route, if somebody can answer there.

        Raises:
            UnavailableError: No replica serves. A splitter has none of its own, but its members may answer.
        """
        api = self.api
        if api.status != LIVE and not (api.variants or api.replicas.up_to_date or api.replicas.stale):
            raise unreachable_now(api)
        return self

    def by_way_of(self, address: str) -> Route:
        """The same, through an address that its host's name leads to."""
        return replace(self, address=address)

    @property
    def door(self) -> urllib.parse.SplitResult:
        """The URL that is connected to."""
        endpoint = urllib.parse.urlsplit(self.api.endpoint)
        return endpoint._replace(netloc=self.address or endpoint.netloc)

    @property
    def proxy(self) -> str | None:
        """The user's proxy for this route. An address of this machine must not go through any."""
        door = self.door
        if is_loopback(door.geturl()) or urllib.request.proxy_bypass(door.hostname or ""):
            return None
        return urllib.request.getproxies().get(door.scheme)

    def request(self, call: Call) -> httpx.Request:
        """Make the request of a call.

        Raises:
            PredictionError: The key has characters that no key has.
        """
        import httpx

        endpoint = urllib.parse.urlsplit(self.api.endpoint)
        query = urllib.parse.urlencode(call.query)
        url = self.door._replace(path=endpoint.path + call.path, query=query).geturl()
        headers = {"host": endpoint.netloc, "accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "cortex"}
        written = [(name.encode(), _encoded(value)) for name, value in {**headers, **call.sent_headers()}.items()]
        # The endpoint may have the load balancer's own name, and the certificate is for the user's domain.
        extensions: dict[str, Any] = {"timeout": httpx.Timeout(call.timeout, pool=None).as_dict()}
        if endpoint.scheme == "https":
            extensions["sni_hostname"] = endpoint.hostname
        content = call.body if call.method != "GET" else None
        return httpx.Request(call.method, url, headers=written, content=content, extensions=extensions)


def _encoded(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def trusted(certificate: str | None) -> ssl.SSLContext:
    """What a load balancer must show.

    Its name is not checked, as it may answer under another one than its certificate's, but that it shows the
    certificate that ACM has told. Whoever sets ``SSL_CERT_FILE`` (a proxy that looks into TLS) trusts that file, too.

    Args:
        certificate: PEM; None accepts whatever this machine trusts.
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
    return context
