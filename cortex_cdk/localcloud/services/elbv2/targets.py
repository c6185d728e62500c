"""Target groups whose targets are (id, port) pairs with a health that somebody measured.

moto keeps one target per id and calls every target healthy; bridge-mode tasks share their instance's id and
differ by port. States and reason codes: ELBv2 API reference, ``TargetHealth``.
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
        port: Its port on this machine.
        state: ``initial``, ``healthy``, ``unhealthy`` or ``draining``.
        reason: Reason code, None while healthy.
        detail: More than the code's own description, such as the status that was returned.
        was_healthy: Whether it has ever passed a check.
        quiet_looks: How many times in a row it was seen to drain without an active request.
        drain_until: Time (seconds since the epoch) at which draining ends at the latest.
    """

    id: str
    port: int
    state: str = "initial"
    reason: str | None = "Elb.RegistrationInProgress"
    detail: str | None = None
    was_healthy: bool = False
    quiet_looks: int = 0
    drain_until: float = 0.0

    def set(self, state: str, reason: str | None = None, detail: str | None = None) -> None:
        """Change the state and its reason."""
        self.state, self.reason, self.detail = state, reason, detail
        self.was_healthy = self.was_healthy or state == "healthy"


class TargetGroup(FakeTargetGroup):
    """A target group with measured health.

    ``registered`` holds the targets by (id, port); draining ones stay in it until ``remove``.
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
        """Add targets; one that is draining begins anew."""
        with STATE_LOCK:
            for key in map(self._key, targets):
                existing = self.registered.get(key)
                if existing is None or existing.state == "draining":
                    self.registered[key] = Target(*key)

    def deregister(self, targets: list[dict[str, Any]]) -> None:
        """Begin to drain targets.

        Raises:
            InvalidTargetError: One of them is not registered.
        """
        with STATE_LOCK:
            for key in map(self._key, targets):
                target = self.registered.get(key)
                if target is None:
                    raise InvalidTargetError
                if target.state != "draining":
                    target.set("draining", "Target.DeregistrationInProgress")
                    target.drain_until = time.time() + self.deregistration_delay

    def remove(self, target_id: str, port: int) -> None:
        """Forget a target, because it has been drained or its process is gone."""
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
    """moto's method, which knows nothing of draining targets, in our version."""
    with STATE_LOCK:
        group = find(backend, target_group_arn)
        wanted = targets or [{"Id": target.id, "Port": target.port} for target in group.registered.values()]
        return [group.health_for(target) for target in wanted]


def find(backend: ELBv2Backend, arn: str) -> TargetGroup:
    """Return the target group with that ARN.

    Raises:
        TargetGroupNotFoundError: There is none.
    """
    (group,) = backend.describe_target_groups(None, [arn], None)
    if not isinstance(group, TargetGroup):
        raise TypeError(f"{arn} was made before the local cloud's target groups were installed")
    return group


def groups() -> list[TargetGroup]:
    """All target groups of all regions that are in use."""
    return [
        group
        for backend in list(elbv2_backends[ACCOUNT_ID].values())
        for group in list(backend.target_groups.values())
        if isinstance(group, TargetGroup)
    ]


def install() -> None:
    """Make moto create these target groups. To be called before the first one is created."""
    moto.elbv2.models.FakeTargetGroup = TargetGroup  # type: ignore[misc]
    ELBv2Backend.describe_target_health = _describe_target_health  # type: ignore[assignment, method-assign]
