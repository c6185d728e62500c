"""Says what strangers on the internet can do with a cluster: send requests, and read those of others."""

from __future__ import annotations

from collections.abc import Sequence

from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment

_RESTRICT = "restrict load_balancer.allowed_cidrs"


def dangers(*, is_public: bool, is_tls: bool, open_apis: Sequence[str]) -> tuple[str, ...]:
    """Say what strangers can do, a line each.

    Args:
        is_public: Whether the load balancer takes requests from everywhere.
        is_tls: Whether its endpoints are https.
        open_apis: The APIs that answer whoever asks (no ``networking.auth``).
    """
    if not is_public:
        return ()
    found = []
    if not is_tls:
        remedy = f"give the cluster a domain (docs/domain.md), or {_RESTRICT}"
        found.append(f"everybody on the internet can reach the cluster, and requests are not encrypted: {remedy}")
    if open_apis:
        remedy = f"set networking.auth, or {_RESTRICT}"
        found.append(f"everybody on the internet can send requests to {', '.join(open_apis)}: {remedy}")
    return tuple(found)


def dangers_of_plan(environment: Environment, cluster: Cluster) -> tuple[str, ...]:
    """Say what strangers could do with a cluster that is to be made; nothing where its environment hides it."""
    is_public = cluster.load_balancer.is_public and environment.is_on_the_network
    return dangers(is_public=is_public, is_tls=cluster.is_tls, open_apis=["every API without authentication"])
