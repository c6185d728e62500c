"""Deployments that fail because an alarm went off ("CloudWatch alarms for deployment failures", ECS guide)."""

from __future__ import annotations

from moto.cloudwatch.models import cloudwatch_backends

from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.settings import ACCOUNT_ID


def ringing(service: Service) -> list[str]:
    """Return the alarms of a service's deployment configuration that are in ALARM."""
    wanted = service.deployment_configuration.get("alarms") or {}
    if not wanted.get("enable"):
        return []
    alarms = cloudwatch_backends[ACCOUNT_ID][service.region_name].alarms
    return [name for name in wanted["alarmNames"] if name in alarms and alarms[name].state_value == "ALARM"]


def watch(service: Service) -> None:
    """Fail the deployment that runs if an alarm went off since it began.

    An alarm that was in ALARM before says nothing about the new deployment, which may be its cure: ECS does not
    watch alarms during such a deployment.
    """
    primary = service.primary
    alarms = ringing(service)
    if primary["rolloutState"] != "IN_PROGRESS":
        return
    if not primary.setdefault("watchesAlarms", not alarms) or not alarms:
        return
    rollback = bool(service.deployment_configuration["alarms"].get("rollback"))
    service.fail(f"ECS deployment failed: alarm detected ({', '.join(alarms)}).", "alarm detected", rollback=rollback)
