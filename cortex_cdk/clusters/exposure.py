"""Says what strangers can do with a cluster's APIs: reach them, and read along."""

from __future__ import annotations

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
