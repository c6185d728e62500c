"""Replaces moto's target groups: a target is a pair of id and port, and its health is measured.

moto keeps one target for each id, and calls all targets healthy. Tasks in bridge mode share the id of their instance,
and differ by port. Source of states and reason codes: ELBv2 API reference, ``TargetHealth``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import moto.elbv2.models
from moto.elbv2.exceptions import InvalidTargetError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

DESCRIPTIONS = {
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.Timeout": "Request timed out",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
}


@dataclass
class Target:
    """One registered target.

    Attributes:
        id: Instance id or address.
        port: The target's port on this machine.
        state: ``initial``, ``healthy``, ``unhealthy`` or ``draining``.
        reason: Reason code; None while healthy.
        detail: More than the reason code tells, such as the status that the target returned.
        was_healthy: Whether the target has ever passed a check.
        quiet_looks: How many looks in a row saw the draining target without an active request.
        drain_until: The latest end of draining, on the monotonic clock: nobody may set that one.
        failing_until: Until when its checks fail whatever it answers, in seconds since the epoch.
    """

    id: str
    port: int
    state: str = "initial"
    reason: str | None = "Elb.RegistrationInProgress"
    detail: str | None = None
    was_healthy: bool = False
    quiet_looks: int = 0
    drain_until: float = 0.0
    failing_until: float = 0.0

    def set(self, state: str, reason: str | None = None, detail: str | None = None) -> None:
        """Change the state and its reason."""
        self.state, self.reason, self.detail = state, reason, detail
        self.was_healthy = self.was_healthy or state == "healthy"


class TargetGroup(FakeTargetGroup):
    """A target group with measured health.

    ``registered`` holds the targets by (id, port). Draining targets stay until ``remove``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registered: dict[tuple[str, int], Target] = {}

    @property
    def in_use(self) -> bool:
        """Whether a listener rule forwards to the group."""
        return bool(self.load_balancer_arns)

    @property
    def deregistration_delay(self) -> float:
        """Seconds for which a deregistered target may finish its requests."""
        attributes: dict[str, Any] = self.attributes
        return float(attributes["deregistration_delay.timeout_seconds"])

    def register(self, targets: list[dict[str, Any]]) -> None:
        """Add targets. A draining target begins anew."""
        with STATE_LOCK:
            for key in map(self._key, targets):
                existing = self.registered.get(key)
                if existing is None or existing.state == "draining":
                    self.registered[key] = Target(*key)

    def deregister(self, targets: list[dict[str, Any]]) -> None:
        """Begin to drain targets.

        Raises:
            InvalidTargetError: A target is not registered.
        """
        with STATE_LOCK:
            for key in map(self._key, targets):
                target = self.registered.get(key)
                if target is None:
                    raise InvalidTargetError
                if target.state != "draining":
                    target.set("draining", "Target.DeregistrationInProgress")
                    target.drain_until = time.monotonic() + self.deregistration_delay

    def remove(self, target_id: str, port: int) -> None:
        """Forget a target that has been drained, or whose process is gone."""
        with STATE_LOCK:
            self.registered.pop((target_id, port), None)

    def deregister_terminated_instances(self, instance_ids: list[str]) -> None:
        """Forget the targets on instances that were terminated."""
        with STATE_LOCK:
            for key in [key for key in self.registered if key[0] in instance_ids]:
                del self.registered[key]

    def health_for(self, target: dict[str, Any], ec2_backend: Any = None) -> FakeHealthStatus:
        """Return the health of one target, as DescribeTargetHealth reports it."""
        key = self._key(target)
        found = self.registered.get(key)
        if found is None:
            seen = Target(*key, state="unused", reason="Target.NotRegistered")
        elif self.in_use or found.state == "draining":
            seen = found
        else:
            seen = Target(*key, state="unused", reason="Target.NotInUse")
        description = seen.detail or DESCRIPTIONS.get(seen.reason or "")
        return FakeHealthStatus(key[0], str(key[1]), str(key[1]), seen.state, seen.reason, description)

    def _key(self, target: dict[str, Any]) -> tuple[str, int]:
        return target["Id"], int(target.get("Port") or self.port)


def _describe_target_health(
    backend: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
) -> list[FakeHealthStatus]:
    """Answer DescribeTargetHealth with draining targets, which moto does not know."""
    with STATE_LOCK:
        group = find(backend, target_group_arn)
        wanted = targets or [{"Id": target.id, "Port": target.port} for target in group.registered.values()]
        return [group.health_for(target) for target in wanted]


def find(backend: ELBv2Backend, arn: str) -> TargetGroup:
    """Return a target group by its ARN.

    Raises:
        TargetGroupNotFoundError: There is no such target group.
    """
    (group,) = backend.describe_target_groups(None, [arn], None)
    if not isinstance(group, TargetGroup):
        raise TypeError(f"{arn} was made before the local cloud's target groups were installed")
    return group


def groups() -> list[TargetGroup]:
    """Return all target groups of the regions in use."""
    return [
        group
        for backend in list(elbv2_backends[ACCOUNT_ID].values())
        for group in list(backend.target_groups.values())
        if isinstance(group, TargetGroup)
    ]


def install() -> None:
    """Make moto create these target groups. Call this before the first one is created."""
    moto.elbv2.models.FakeTargetGroup = TargetGroup  # type: ignore[misc]
    ELBv2Backend.describe_target_health = _describe_target_health  # type: ignore[assignment, method-assign]
