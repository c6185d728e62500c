"""Says what strangers can do with a cluster's APIs: reach them, and read along."""

from __future__ import annotations

from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment

_REMEDY = "give the cluster a domain (docs/domain.md), or restrict load_balancer.allowed_cidrs"


def unencrypted(*, is_public: bool, is_tls: bool) -> str | None:
    """Say that requests of the whole internet come in clear text; None where they do not.

    Args:
        is_public: Whether the load balancer takes requests from everywhere.
        is_tls: Whether its endpoints are https.
    """
    if not is_public or is_tls:
        return None
    return f"everybody on the internet can reach the APIs, and requests are not encrypted: {_REMEDY}"


def exposure(environment: Environment, cluster: Cluster) -> tuple[str, ...]:
    """Say what strangers could do with a cluster that is to be made; nothing where its environment hides it."""
    is_public = cluster.load_balancer.is_public and environment.is_on_the_network
    said = unencrypted(is_public=is_public, is_tls=cluster.is_tls)
    return (said,) if said else ()
