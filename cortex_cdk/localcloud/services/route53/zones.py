"""Finds hosted zones, and refuses what is no record of one, in Route 53's words."""

from __future__ import annotations

from typing import Any

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties


def find(place: Place, properties: Properties) -> Any:
    """Return moto's hosted zone.

    Args:
        place: Account and region.
        properties: ``HostedZoneId``, or ``HostedZoneName``.

    Raises:
        ValueError: There is none.
    """
    # Few accounts have zones. The others need not load moto's module.
    from moto.route53.models import route53_backends
    from moto.utilities.utils import get_partition

    backend: Any = route53_backends[place.account][get_partition(place.region)]
    wanted = str(properties.get("HostedZoneId", "")).removeprefix("/hostedzone/")
    name = str(properties.get("HostedZoneName", ""))
    for zone in backend.zones.values():
        if zone.resource_id == wanted or (name and zone.name.rstrip(".") == name.rstrip(".")):
            return zone
    what = f"No hosted zone found with ID: {wanted}" if wanted else f"No hosted zones named {name} found"
    raise ValueError(what)


def check_name(zone: Any, name: str) -> None:
    """Refuse the name of a record that is not in a zone.

    Raises:
        ValueError: It is not.
    """
    inside, bare = zone.name.rstrip("."), name.rstrip(".")
    if bare != inside and not bare.endswith(f".{inside}"):
        raise ValueError(f"RRSet with DNS name {name} is not permitted in zone {inside}.")
