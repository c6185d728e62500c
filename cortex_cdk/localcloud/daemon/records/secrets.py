"""Stores and restores secrets of Secrets Manager, with their values. Only the owner can read the files."""

from __future__ import annotations

import sys
from typing import Any

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

FOLDER = "secrets"
MODELS = "moto.secretsmanager.models"
COPIED = ("arn", "description", "tags", "kms_key_id", "created_date", "last_changed_date", "deleted_date", "policy")


def read() -> dict[str, Record]:
    """Return the record of every secret by its name."""
    # Few accounts have secrets. The others need not load moto's module.
    if MODELS not in sys.modules:
        return {}
    from moto.secretsmanager.models import FakeSecret

    return {
        secret.name: {
            "name": secret.name,
            "current": secret.default_version_id,
            "versions": secret.versions,
            **{attribute: getattr(secret, attribute) for attribute in COPIED},
        }
        for secret in _secrets().values()
        if isinstance(secret, FakeSecret)
    }


def restore(record: Record) -> None:
    """Put a secret in place under its ARN, with all its versions."""
    from moto.secretsmanager.models import FakeSecret

    secret = FakeSecret(ACCOUNT_ID, REGION, record["name"], {}, record["current"])
    secret.versions = record["versions"]
    secret.set_default_version_id(record["current"])
    for attribute in COPIED:
        setattr(secret, attribute, record[attribute])
    _secrets()[record["name"]] = secret


def _secrets() -> Any:
    from moto.secretsmanager.models import secretsmanager_backends

    return secretsmanager_backends[ACCOUNT_ID][REGION].secrets
