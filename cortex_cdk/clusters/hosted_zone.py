"""Finds the hosted zone of Route 53 in which a cluster's domain lies (``domain``, ``hosted_zone``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.denials import denial_of
from cortex_cdk.aws.errors import error_code, error_message
from cortex_cdk.config import Cluster

if TYPE_CHECKING:
    from mypy_boto3_route53.type_defs import HostedZoneTypeDef

_MAKE = "make it with: aws route53 create-hosted-zone --name {zone} --caller-reference {zone}"


@dataclass(frozen=True)
class FoundZone:
    """What Route 53 knows of the zone that a configuration names.

    Attributes:
        id: Its id; None where it is not known.
        problem: Why it cannot be used; empty where it can.
        hint: What to do about that.
    """

    id: str | None = None
    problem: str = ""
    hint: str | None = None


def find_zone(cloud: Cloud, cluster: Cluster) -> FoundZone | None:
    """Look for the hosted zone of a cluster's domain.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's configuration.

    Returns:
        None where the cluster has no domain.
    """
    from botocore.exceptions import ClientError

    domain, named = cluster.domain, cluster.hosted_zone
    if domain is None or named is None:
        return None
    try:
        found = [_by_id(cloud, cluster.hosted_zone_id)] if cluster.hosted_zone_id else list(_by_name(cloud, named))
    except ClientError as error:
        if error_code(error) in ("NoSuchHostedZone", "InvalidInput"):
            return FoundZone(problem=f"there is no hosted zone {named} in this account", hint="name the zone instead")
        if not denial_of(error):
            raise
        hint = None if cluster.hosted_zone_id else "ask for that permission, or give the zone's id as hosted_zone"
        return FoundZone(cluster.hosted_zone_id, "" if cluster.hosted_zone_id else error_message(error), hint)
    return _only(found, domain, named)


def _by_id(cloud: Cloud, id: str) -> HostedZoneTypeDef:
    return cloud.route53.get_hosted_zone(Id=id)["HostedZone"]


def _by_name(cloud: Cloud, name: str) -> Iterator[HostedZoneTypeDef]:
    # Sorted by name from there on. A name may have several zones: private ones, and forgotten ones.
    for zone in cloud.route53.list_hosted_zones_by_name(DNSName=name)["HostedZones"]:
        if zone["Name"].rstrip(".") == name:
            yield zone


def _only(found: list[HostedZoneTypeDef], domain: str, named: str) -> FoundZone:
    public = [zone for zone in found if not zone.get("Config", {}).get("PrivateZone")]
    if not found:
        hint = f"{_MAKE.format(zone=named)}, or name a certificate instead: load_balancer.certificate_arn"
        return FoundZone(problem=f"there is no hosted zone {named} in this account", hint=hint)
    if not public:
        return FoundZone(
            problem=f"the hosted zone {named} is private, and certificates are proven in public zones only",
            hint="name the public zone, or a certificate instead: load_balancer.certificate_arn",
        )
    ids = [zone["Id"].removeprefix("/hostedzone/") for zone in public]
    if len(ids) > 1:
        return FoundZone(problem=f"there are several public hosted zones {named}", hint=f"name one: {', '.join(ids)}")
    name = public[0]["Name"].rstrip(".")
    if domain != name and not domain.endswith(f".{name}"):
        return FoundZone(ids[0], f"{domain} is not in the hosted zone {named}, which is for {name}")
    return FoundZone(ids[0])
