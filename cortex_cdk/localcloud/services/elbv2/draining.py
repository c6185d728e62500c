"""Tells when a deregistered target has finished its requests."""

from __future__ import annotations

import time
from typing import Any

from cortex_cdk.localcloud.services.elbv2.envoy import Envoy
from cortex_cdk.localcloud.services.elbv2.routing import suffix
from cortex_cdk.localcloud.services.elbv2.targets import Target, groups
from cortex_cdk.localcloud.state_lock import STATE_LOCK

ACTIVE = ("rq_active", "rq_pending_active")
QUIET_LOOKS = 2
"""How many looks in a row must see no request: Envoy's worker hears of a change after its main thread, which we ask."""


def is_anything_draining() -> bool:
    """Return whether any target waits for its last requests."""
    with STATE_LOCK:
        return any(target.state == "draining" for group in groups() for target in group.registered.values())


def remove_drained(envoy: Envoy) -> None:
    """Forget draining targets that have no active request any more, or whose time is up."""
    try:
        active = active_requests(envoy.ask_json("/clusters?format=json"))
    except OSError:
        active = None
    with STATE_LOCK:
        for group in groups():
            for target in list(group.registered.values()):
                if target.state == "draining" and _is_done(target, suffix(group.arn), active):
                    group.remove(target.id, target.port)


def active_requests(clusters: Any) -> dict[tuple[str, int], int | None]:
    """Return the requests in flight by (target group, port), from Envoy's ``/clusters``.

    Returns:
        Numbers; None for a target of which Envoy does not know yet that it drains, so that requests may still come.
    """
    found: dict[tuple[str, int], int | None] = {}
    for cluster in clusters.get("cluster_statuses", []):
        for host in cluster.get("host_statuses", []):
            if "socket_address" not in host["address"]:
                continue  # where Envoy hears of endpoints
            port = host["address"]["socket_address"]["port_value"]
            draining = host.get("health_status", {}).get("eds_health_status") == "DRAINING"
            count = sum(int(stat.get("value", 0)) for stat in host["stats"] if stat["name"] in ACTIVE)
            found[cluster["name"], port] = count if draining else None
    return found


def _is_done(target: Target, group: str, active: dict[tuple[str, int], int | None] | None) -> bool:
    if time.monotonic() >= target.drain_until:
        return True
    unknown = None if target.was_healthy else 0
    is_quiet = active is not None and active.get((group, target.port), unknown) == 0
    target.quiet_looks = target.quiet_looks + 1 if is_quiet else 0
    return target.quiet_looks >= QUIET_LOOKS
