"""Stores and restores hosted zones of Route 53 under their ids, empty: stacks make their records again."""

from __future__ import annotations

import sys
from typing import Any

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.settings import ACCOUNT_ID, PARTITION

FOLDER = "hosted-zones"
MODELS = "moto.route53.models"


def read() -> dict[str, Record]:
    """Return the record of every hosted zone by its id."""
    # Few accounts have zones. The others need not load moto's module.
    if MODELS not in sys.modules:
        return {}
    return {
        id: {"id": id, "name": zone.name, "private": zone.private_zone, "comment": zone.comment}
        for id, zone in _backend().zones.items()
    }


def restore(record: Record) -> None:
    """Put a hosted zone in place under its id."""
    backend = _backend()
    zone = backend.create_hosted_zone(record["name"], record["private"], comment=record["comment"])
    del backend.zones[zone.resource_id]
    zone.resource_id = record["id"]
    backend.zones[zone.resource_id] = zone


def _backend() -> Any:
    from moto.route53.models import route53_backends

    return route53_backends[ACCOUNT_ID][PARTITION]
