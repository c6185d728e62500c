"""Describes the deployments of a service as service deployments, the way DescribeServiceDeployments shows them.

ECS has one service deployment for each rollout. A roll-back belongs to the rollout that failed: the deployment that the
service goes back to is none of its own. Source: the API reference of ServiceDeployment, ServiceDeploymentRollback,
ServiceDeploymentCircuitBreaker and ServiceDeploymentAlarms.
"""

from __future__ import annotations

from typing import Any

from cortex_cdk.localcloud.services.ecs.circuit_breaker import failure_threshold
from cortex_cdk.localcloud.services.ecs.deployment_alarms import ringing
from cortex_cdk.localcloud.services.ecs.service import Deployment, Service


def service_deployments(service: Service) -> list[Deployment]:
    """Return the deployments of a service that are service deployments, the newest first."""
    return sorted(service.rollouts.values(), key=lambda deployment: deployment["createdAt"], reverse=True)


def brief(service: Service, deployment: Deployment) -> dict[str, Any]:
    """Return a ``ServiceDeploymentBrief`` of ListServiceDeployments."""
    status, reason = _status(service, deployment)
    ended = {} if status in {"IN_PROGRESS", "ROLLBACK_IN_PROGRESS"} else {"finishedAt": deployment["updatedAt"]}
    return {
        "serviceDeploymentArn": service.deployment_arn(deployment),
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": deployment["createdAt"],
        "startedAt": deployment["createdAt"],
        "targetServiceRevisionArn": _revision_arn(service, deployment),
        "status": status,
        "statusReason": reason,
        **ended,
    }


def full(service: Service, deployment: Deployment) -> dict[str, Any]:
    """Return a ``ServiceDeployment`` of DescribeServiceDeployments."""
    listed = brief(service, deployment)
    revision = listed.pop("targetServiceRevisionArn")
    watched = service.deployment_configuration.get("alarms") or {}
    running = listed["status"] == "IN_PROGRESS"
    breaker, alarms = service.circuit_breaker, ringing(service) if running else []
    tripped = "circuit breaker" in listed["statusReason"]
    threshold = failure_threshold(breaker.get("thresholdConfiguration") or {}, service.desired_count)
    described = {
        **listed,
        "updatedAt": deployment["updatedAt"],
        "targetServiceRevision": {
            "arn": revision,
            "requestedTaskCount": deployment["desiredCount"],
            "runningTaskCount": deployment["runningCount"],
            "pendingTaskCount": deployment["pendingCount"],
        },
        "deploymentConfiguration": service.deployment_configuration,
        "deploymentCircuitBreaker": {
            "status": _monitoring(bool(breaker.get("enable")), tripped, running),
            "failureCount": deployment["failedTasks"],
            "threshold": threshold,
        },
        "alarms": {
            "status": _monitoring(bool(watched.get("enable")), "alarm detected" in listed["statusReason"], running),
            "alarmNames": list(watched.get("alarmNames") or []),
            "triggeredAlarmNames": alarms,
        },
    }
    if listed["status"].startswith("ROLLBACK_"):
        described["rollback"] = {"reason": listed["statusReason"], "startedAt": deployment["updatedAt"]}
    return described


def _status(service: Service, deployment: Deployment) -> tuple[str, str]:
    state, reason = service.rollout_of(deployment["id"])
    if state == "COMPLETED":
        return "SUCCESSFUL", reason
    if state == "IN_PROGRESS":
        return "IN_PROGRESS", reason
    primary = service.primary if service.deployments else None
    if primary is not None and primary.get("rollsBackFrom") == deployment["id"]:
        ends = {"IN_PROGRESS": "ROLLBACK_IN_PROGRESS", "COMPLETED": "ROLLBACK_SUCCESSFUL", "FAILED": "ROLLBACK_FAILED"}
        return ends[primary["rolloutState"]], reason
    return ("ROLLBACK_SUCCESSFUL" if deployment.get("rolledBack") else "STOPPED"), reason


def _monitoring(enabled: bool, triggered: bool, running: bool) -> str:
    if not enabled:
        return "DISABLED"
    if triggered:
        return "TRIGGERED"
    return "MONITORING" if running else "MONITORING_COMPLETE"


def _revision_arn(service: Service, deployment: Deployment) -> str:
    return service.deployment_arn(deployment).replace(":service-deployment/", ":service-revision/")
