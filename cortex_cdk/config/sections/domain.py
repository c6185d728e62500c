"""The fields ``domain`` and ``hosted_zone`` of ``cluster.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.model import Conflict

_DNS_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ZONE_ID = re.compile(r"[A-Z0-9]{1,32}")
_LONGEST_DOMAIN = 64  # characters of a certificate's first name (RequestCertificate, DomainName)


def parse_domain(value: Any) -> str:
    """Read a domain, in lower case and without a dot at its end.

    Raises:
        ValueError: It is none.
    """
    name = value.lower().removesuffix(".") if isinstance(value, str) else ""
    if not _DNS_NAME.fullmatch(name):
        raise ValueError("not a DNS name")
    return name


def parse_zone(value: Any) -> str:
    """Read the name or the id of a hosted zone.

    Raises:
        ValueError: It is none.
    """
    id = value.removeprefix("/hostedzone/") if isinstance(value, str) else ""
    return id if is_zone_id(id) else parse_domain(value)


def is_zone_id(zone: str) -> bool:
    """Whether a hosted zone is named by its id. Names have a dot, and lower case."""
    return _ZONE_ID.fullmatch(zone) is not None


def domain_rules(domain: str | None, zone: str | None, certificate_arn: str | None) -> Iterator[Conflict]:
    """Yield the conflicts between a domain, its zone, and a certificate of the user's own."""
    fields: tuple[FieldPath, ...] = (("domain",), ("hosted_zone",))
    if domain is None:
        if zone is not None:
            yield Conflict(fields[::-1], "needs domain: the zone is for the domain's records")
        return
    if certificate_arn:
        yield Conflict(
            (("domain",), ("load_balancer", "certificate_arn")),
            "cannot be used together with load_balancer.certificate_arn: a domain has a certificate of its own",
            "remove one of them",
        )
    if len(domain) > _LONGEST_DOMAIN:
        yield Conflict((("domain",),), f"must be at most {_LONGEST_DOMAIN} characters long, not {len(domain)}")
    if zone is None:
        hint = "without a zone in Route 53, name a certificate: load_balancer.certificate_arn"
        yield Conflict(fields, "needs hosted_zone, the zone of Route 53 in which it lies", hint)
    elif not is_zone_id(zone) and not f".{domain}".endswith(f".{zone}"):
        yield Conflict(fields, f"{domain} is not in the zone {zone}")
