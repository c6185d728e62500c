"""The names that the local load balancer answers to.

A real load balancer answers any ``Host``. Here the address is this machine's, and a page in the user's browser may have
a name of its own resolve to that address (DNS rebinding): the browser then takes the API for a part of the page's site,
and lets the page read everything. So only names count that this machine has, or that the account names: in a rule's
condition, or in a certificate.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from cryptography import x509

from cortex_cdk.localcloud.services.elbv2.routing import Listener

LOOPBACK = ("127.0.0.1", "localhost", "*.localhost", "[::1]")
REFUSAL = (
    "The local cloud's load balancer answers only to 127.0.0.1, localhost, and hosts that a listener rule or a "
    "certificate names."
)


def own_hosts(listeners: Iterable[Listener]) -> tuple[str, ...]:
    """Return the patterns of all names, as host conditions have them.

    Args:
        listeners: All listeners. A name of one counts for all, as they share an address.
    """
    found = {host for listener in listeners for rule in listener.rules for host in rule.hosts}
    for listener in listeners:
        for certificate in listener.tls.certificates if listener.tls else ():
            found |= _names(certificate.chain)
    return (*LOOPBACK, *sorted(found - set(LOOPBACK)))


@functools.lru_cache(maxsize=64)
def _names(chain: str) -> frozenset[str]:
    """The DNS names that a certificate is for (RFC 5280, 4.2.1.6); without any, its common name."""
    certificate = x509.load_pem_x509_certificates(chain.encode())[0]
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return frozenset(str(name.value) for name in common)
    return frozenset(alternatives.get_values_for_type(x509.DNSName))
