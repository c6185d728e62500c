"""Stores and restores certificates of Certificate Manager, with their keys. Only the owner can read the files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.acm.models import CertBundle, acm_backends

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.services.elbv2.tls import LocalCertificate
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

FOLDER = "certificates"
SHOWN = ("common_name", "issuer_common_name", "sans")
"""Attributes that DescribeCertificate shows. A requested certificate is for this machine, too, and does not show it."""


def read() -> dict[str, Record]:
    """Return the record of every certificate by its id."""
    certificates: dict[str, Any] = acm_backends[ACCOUNT_ID][REGION]._certificates
    return {arn.rpartition("/")[2]: _described(bundle) for arn, bundle in certificates.items()}


def restore(record: Record) -> None:
    """Put a certificate in place under its ARN."""
    bundle: Any = LocalCertificate(
        ACCOUNT_ID,
        record["certificate"].encode(),
        record["key"].encode(),
        region=REGION,
        arn=record["arn"],
        cert_type=record["type"],
        cert_status=record["status"],
        cert_options=record["options"],
    )
    # Not by the constructor, which adds AWS's root once more.
    bundle.chain = record["chain"].encode()
    bundle.created_at = datetime.fromisoformat(record["created"])
    bundle.tags.update(record["tags"])
    for attribute in SHOWN:
        setattr(bundle, attribute, record[attribute])
    backend: Any = acm_backends[ACCOUNT_ID][REGION]
    backend._certificates[bundle.arn] = bundle


def _described(bundle: CertBundle) -> Record:
    return {
        "arn": bundle.arn,
        "type": bundle.type,
        "status": bundle.status,
        "created": bundle.created_at.isoformat(),
        "options": bundle.cert_options,
        "tags": dict(bundle.tags),
        **{attribute: getattr(bundle, attribute) for attribute in SHOWN},
        "certificate": bundle.cert.decode(),
        "chain": (bundle.chain or b"").decode(),
        "key": bundle.key.decode(),
    }
