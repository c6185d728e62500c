"""Fails deployments whose alarms go off ("CloudWatch alarms for deployment failures", ECS developer guide).

ECS goes on watching the alarms for a bake time after the rollout. Here the deployment counts as completed meanwhile, so
that nobody waits; where an alarm goes off after all, the stack engine rolls the stack back (``Resource.proven``).
"""

from __future__ import annotations

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from cortex_cdk.localcloud.services.cloudwatch.alarms import evaluated_seconds
from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.services.ecs.task import now
from cortex_cdk.localcloud.settings import ACCOUNT_ID

LAST_DATAPOINT = 60.0


def ringing(service: Service) -> list[str]:
    """Return the alarms of a service's deployment configuration that are in ALARM."""
    return [alarm.name for alarm in _alarms(service) if alarm.state_value == "ALARM"]


def watch(service: Service, speed: float) -> None:
    """Fail the running deployment of a service if an alarm has gone off since the deployment began.

    An alarm that was in ALARM before says nothing about the new deployment, which may be the cure. So ECS does not
    watch alarms during such a deployment.

    Args:
        service: The service.
        speed: How many times shorter than configured the periods of alarms are.
    """
    primary = service.primary
    if "returnsTo" in primary and (now() - primary["completedAt"]).total_seconds() * speed > bake_seconds(service):
        del primary["returnsTo"]
    if primary["rolloutState"] != "IN_PROGRESS" and "returnsTo" not in primary:
        return
    alarms = ringing(service)
    if not primary.setdefault("watchesAlarms", not alarms) or not alarms:
        return
    rollback = bool(service.deployment_configuration["alarms"].get("rollback"))
    service.fail(f"ECS deployment failed: alarm detected ({', '.join(alarms)}).", "alarm detected", rollback=rollback)


def bake_seconds(service: Service) -> float:
    """Return for how long, not sped up, alarms are watched after a rollout.

    ECS computes this bake time from the alarms, and does not say how. The longest time that one of them is evaluated
    from, and a minute for its last datapoint to come, let a failure right after the rollout set off each alarm.
    """
    return max((evaluated_seconds(alarm) + LAST_DATAPOINT for alarm in _alarms(service)), default=0.0)


def _alarms(service: Service) -> list[Alarm]:
    wanted = service.deployment_configuration.get("alarms") or {}
    if not wanted.get("enable"):
        return []
    known = cloudwatch_backends[ACCOUNT_ID][service.region_name].alarms
    return [known[name] for name in wanted["alarmNames"] if name in known]
