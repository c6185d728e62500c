"""TLS of a listener: which versions its policy allows, and the certificates of Certificate Manager.

A certificate that was imported is used as it is. One that was requested is nobody's to sign here, so it signs itself;
it is also for this machine's own names, so that a client which trusts it can check them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import moto.acm.models
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.acm.models import AWS_ROOT_CA, CertBundle, acm_backends

from cortex_cdk.localcloud.settings import HOST

VALIDITY = timedelta(days=397)
"""How long ACM's own certificates are valid (13 months)."""
MINIMUM = re.compile(r"(?:TLS|TLS13|FS)-1-([0-3])")
NEWEST = "TLSv1_3"


@dataclass(frozen=True)
class Certificate:
    """A certificate with its chain, and its key, as PEM."""

    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Tls:
    """How a listener ends TLS.

    Attributes:
        minimum: The oldest version that is accepted, such as ``TLSv1_2``.
        maximum: The newest.
        certificates: At least one. Which one is shown depends on the name that the client asks for.
    """

    minimum: str
    maximum: str
    certificates: tuple[Certificate, ...]


class LocalCertificate(CertBundle):
    """moto's certificate, which signs itself where it was requested: moto's names a signer that did not sign it."""

    @classmethod
    def generate_cert(
        cls, domain_name: str, account_id: str, region: str, sans: list[str] | None = None, *rest: Any, **named: Any
    ) -> CertBundle:
        """RequestCertificate."""
        made = super().generate_cert(domain_name, account_id, region, sans, *rest, **named)
        certificate, key = self_signed([domain_name, *(sans or [])])
        made.cert, made.key, made.chain = certificate, key, AWS_ROOT_CA
        made._key, made._cert = made.validate_pk(), made.validate_certificate()
        return made


def install() -> None:
    """Make moto create these certificates. To be called before the first one is made; more calls change nothing."""
    moto.acm.models.CertBundle = LocalCertificate  # type: ignore[misc]


def read(policy: str | None, certificate_arns: list[str]) -> Tls | None:
    """How a listener ends TLS; None where none of its certificates exists.

    Args:
        policy: Its ``SslPolicy``, or None for the default one.
        certificate_arns: Its certificates, the default one first.
    """
    found = tuple(known for known in map(_certificate, certificate_arns) if known)
    return Tls(*versions(policy or ""), found) if found else None


def versions(policy: str) -> tuple[str, str]:
    """Return the oldest and the newest TLS version of a security policy, by its name ("Security policies" of the ALB
    guide).

    ``ELBSecurityPolicy-TLS13-1-2-2021-06`` begins with 1.2. Only the policies with ``TLS13`` in their name know 1.3.
    """
    found = MINIMUM.search(policy)
    return f"TLSv1_{found[1] if found else 0}", NEWEST if "TLS13" in policy else "TLSv1_2"


def self_signed(names: list[str]) -> tuple[bytes, bytes]:
    """Return a certificate that signs itself, and its key, as PEM.

    Args:
        names: What it is for, besides this machine; the first is its common name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has at most 64 characters (X.520).
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.now(timezone.utc)
    alternatives = [x509.DNSName(known) for known in dict.fromkeys([*names, "localhost"])]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(
            x509.SubjectAlternativeName([*alternatives, x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return certificate.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


def _certificate(arn: str) -> Certificate | None:
    _, _, _, region, account, _ = arn.split(":", 5)
    bundle: Any = acm_backends[account][region]._certificates.get(arn)
    if bundle is None:
        return None
    # moto adds AWS's root to every chain.
    chain = bundle.cert + b"\n" + (bundle.chain or b"").replace(AWS_ROOT_CA, b"")
    return Certificate(chain.decode().strip() + "\n", bundle.key.decode())
