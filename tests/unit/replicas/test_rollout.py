"""A rollout that fails between two looks is explained. ECS's answers are given by botocore's own stubber."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from botocore.stub import Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.replicas.rollout import RolloutWatcher

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
OLD, NEW = (f"arn:aws:ecs:us-east-1:123456789012:task-definition/cortex-local-iris:{n}" for n in (1, 2))
REASON = "OutOfMemoryError: Container killed due to memory usage"


def service(definition: str) -> dict[str, Any]:
    deployment = {
        "id": "ecs-svc/1",
        "status": "PRIMARY",
        "taskDefinition": definition,
        "rolloutState": "COMPLETED",
        "pendingCount": 0,
        "createdAt": NOW,
    }
    return {"services": [{"serviceName": "iris", "status": "ACTIVE", "deployments": [deployment], "events": []}]}


def arn(task: str) -> str:
    return f"arn:aws:ecs:us-east-1:123456789012:task/cortex-local/{task}"


def stopped(
    task: str, definition: str, stop_code: str = "EssentialContainerExited", why: str = "Essential container exited"
) -> dict[str, Any]:
    return {
        "stoppedReason": why,
        "taskArn": arn(task),
        "taskDefinitionArn": definition,
        "lastStatus": "STOPPED",
        "stopCode": stop_code,
        "containers": [{"name": "api", "reason": REASON, "exitCode": 137}],
    }


def looked(before: dict[str, Any], after: dict[str, Any], listed: list[str], tasks: list[dict[str, Any]]) -> list[str]:
    """What one look says, where the task "earlier" had stopped before the rollout began."""
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    with Stubber(cloud.ecs) as ecs, Stubber(cloud.logs) as logs:
        ecs.add_response("list_tasks", {"taskArns": [arn("earlier")]})
        ecs.add_response("describe_services", before)
        ecs.add_response("describe_services", after)
        ecs.add_response("list_tasks", {"taskArns": [arn("earlier"), *map(arn, listed)]})
        if listed:
            ecs.add_response(
                "describe_tasks", {"tasks": tasks}, {"cluster": "cortex-local", "tasks": [*map(arn, listed)]}
            )
        for _ in tasks:
            logs.add_client_error("filter_log_events", "ResourceNotFoundException")
        said = RolloutWatcher(cloud, "local", "iris", "r2").look()
        ecs.assert_no_pending_responses()
    return said


FAILED = [f"a replica failed: {REASON} (exit code 137)"]


def test_ecs_has_gone_back_already() -> None:
    assert looked(service(OLD), service(OLD), ["a"], [stopped("a", NEW)]) == FAILED


def test_the_service_is_gone_already() -> None:
    assert looked({"services": []}, {"services": []}, ["a"], [stopped("a", NEW)]) == FAILED


def test_a_replica_that_failed_its_health_checks_is_told_too() -> None:
    """ECS itself stops it, as it stops those that a deployment replaces."""
    unhealthy = stopped("a", NEW, "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group x)")
    assert looked(service(OLD), service(NEW), ["a"], [unhealthy]) == FAILED


def test_what_the_rollout_did_not_start_is_not_its_failure() -> None:
    assert looked(service(OLD), service(NEW), ["a"], [stopped("a", OLD)]) == []
    assert looked(service(OLD), service(NEW), ["a"], [stopped("a", NEW, "ServiceSchedulerInitiated")]) == []
    assert looked(service(OLD), service(NEW), [], []) == []
