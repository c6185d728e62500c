"""Keys of KMS: which key a call means, and what a service needs to use a key for its caller."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from cortex_cdk.localcloud.services.iam.decision import Access
from cortex_cdk.localcloud.services.iam.patterns import Context
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

MANAGED = "alias/aws/"
"""Keys that AWS manages for a service. Everybody who may use the service may use its key ("AWS managed keys")."""


def arn_of_key(key_id: str) -> str:
    """Return the ARN of a key.

    Args:
        key_id: The key's id or ARN, or the name or ARN of an alias.
    """
    alias = key_id.rpartition(":")[2] if ":alias/" in key_id else key_id
    backend = _backend()
    if alias.startswith("alias/"):
        key_id = (backend.get_key_id_from_alias(alias) if backend else None) or alias
    return key_id if key_id.startswith("arn:") else f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:{_path(key_id)}"


def key_of_ciphertext(blob: bytes) -> str | None:
    """Return the id of the key that a text was encrypted with; None if it is no such text."""
    from moto.kms.utils import _deserialize_ciphertext_blob

    try:
        return str(_deserialize_ciphertext_blob(ciphertext_blob=blob).key_id)
    except Exception:
        return None


def use_of_key(key_id: str | None, action: str, service: str, context: Context) -> Iterator[Access]:
    """Yield what a service needs of its caller to use a key.

    Args:
        key_id: The key; None for the service's own key, which needs nothing.
        action: ``kms:Decrypt`` or ``kms:GenerateDataKey``.
        service: The service, as its endpoint names it.
        context: The encryption context, by condition key in lower case.
    """
    if not key_id or MANAGED in key_id:
        return
    via = {"kms:viaservice": (f"{service}.{REGION}.amazonaws.com",), "kms:calleraccount": (ACCOUNT_ID,)}
    yield Access(action, arn_of_key(key_id), {**via, **context})


def _path(key_id: str) -> str:
    return key_id if "/" in key_id else f"key/{key_id}"


def _backend() -> Any:
    # Few accounts have keys. The others need not load moto's module.
    models = sys.modules.get("moto.kms.models")
    return models.kms_backends[ACCOUNT_ID][REGION] if models else None
