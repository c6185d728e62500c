"""Makes tasks targets of the load balancer, and tells how a task counts by the health of its targets."""

from __future__ import annotations

import time

from moto.elbv2.models import elbv2_backends

from cortex_cdk.localcloud.services.ecs.rollout import Health
from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.services.ecs.task import Task
from cortex_cdk.localcloud.services.elbv2.targets import Target, TargetGroup
from cortex_cdk.localcloud.settings import ACCOUNT_ID, HOST


def register(task: Task, service: Service, instance: str) -> None:
    """Register a running task in the target groups of its service.

    Target groups that are gone are left out, because the service is about to be deleted, too.

    Args:
        task: The task.
        service: The task's service.
        instance: The EC2 id of the task's instance.
    """
    if task.port is None:
        return
    for balancer in service.load_balancers:
        group = _group(task.region_name, balancer.get("targetGroupArn", ""))
        if group is None:
            continue
        target_id = HOST if group.target_type == "ip" else instance
        group.register([{"Id": target_id, "Port": task.port}])
        task.targets.append((group.arn, target_id, task.port))
        service.add_event(f"(service {service.name}) registered 1 targets in (target-group {group.arn})")


def deregister(task: Task) -> None:
    """Begin to drain a task's targets. From now on they get no new requests."""
    for arn, target_id, port in task.targets:
        group = _group(task.region_name, arn)
        target = group.registered.get((target_id, port)) if group else None
        if group and target and target.state != "draining":
            group.deregister([{"Id": target_id, "Port": port}])


def is_attached(task: Task) -> bool:
    """Return whether a task still is a target. A draining target counts."""
    return any(_target(task.region_name, *place) for place in task.targets)


def detach(task: Task) -> None:
    """Forget the targets of a task whose process is gone."""
    for arn, target_id, port in task.targets:
        group = _group(task.region_name, arn)
        if group:
            group.remove(target_id, port)
    task.targets = []


def health(task: Task, grace: float) -> Health:
    """Return how a task counts.

    Args:
        task: A task that is not being stopped.
        grace: The health-check grace period: seconds after the task's start in which a failed check does not count.
    """
    if task.last_status != "RUNNING" or task.running_since is None:
        return Health.STARTING
    targets = [_target(task.region_name, *place) for place in task.targets]
    if any(target is None or target.state in {"initial", "draining"} for target in targets):
        return Health.STARTING
    if any(target and target.state == "unhealthy" for target in targets):
        in_grace = time.monotonic() - task.running_since < grace
        return Health.STARTING if in_grace else Health.FAILING
    return Health.HEALTHY


def fail_checks(task: Task, until: float) -> None:
    """Let the health checks of a task's targets fail.

    Args:
        task: The task.
        until: For how long, in seconds since the epoch; 0 for no longer.
    """
    for place in task.targets:
        if target := _target(task.region_name, *place):
            target.failing_until = until


def why(task: Task) -> str:
    """Return the finding of the health checks of a task's first unhealthy target."""
    for place in task.targets:
        target = _target(task.region_name, *place)
        if target and target.state != "healthy":
            return f"reason {target.detail or target.reason}"
    return "reason unknown"


def _group(region: str, arn: str) -> TargetGroup | None:
    group = elbv2_backends[ACCOUNT_ID][region].target_groups.get(arn)
    return group if isinstance(group, TargetGroup) else None


def _target(region: str, arn: str, target_id: str, port: int) -> Target | None:
    group = _group(region, arn)
    return group.registered.get((target_id, port)) if group else None
