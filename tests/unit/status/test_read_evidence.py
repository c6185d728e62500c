"""Why the last deployment failed, from what ECS and CloudFormation say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.stub import Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.stack_operations.events import last_operation
from cortex_cdk.status.read_evidence import failed_rollout

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
FAILED = "(service iris) (deployment ecs-svc/2) deployment failed: tasks failed to start."
ALARMED = "(service iris) (deployment ecs-svc/2) deployment failed: alarm detected."
STOPPED = "(service iris) (deployment ecs-svc/2) deployment failed: deployment stopped by user."
BACK = "(service iris) rolling back to deployment ecs-svc/1."
BACK_THERE = "(service iris) (deployment ecs-svc/1) deployment completed."
NEXT_THERE = "(service iris) (deployment ecs-svc/3) deployment completed."


def events(*oldest_first: str) -> Any:
    return [
        {"message": message, "createdAt": NOW + timedelta(seconds=number)}
        for number, message in enumerate(oldest_first)
    ][::-1]


@pytest.mark.parametrize(
    ("said", "reason", "undone"),
    [
        ((FAILED, BACK), "tasks failed to start", True),
        ((FAILED, BACK, BACK_THERE), "tasks failed to start", True),
        ((FAILED,), "tasks failed to start", False),
        ((ALARMED, BACK), "its answers were server errors", True),
    ],
)
def test_a_rollout_that_ecs_gave_up_is_found(said: tuple[str, ...], reason: str, undone: bool) -> None:
    found = failed_rollout(events(*said), NOW)
    assert found
    assert (found.at, found.reason, found.undone) == (NOW, reason, undone)


@pytest.mark.parametrize("said", [(), (NEXT_THERE,), (FAILED, BACK, BACK_THERE, NEXT_THERE), (STOPPED, BACK)])
def test_what_was_stopped_did_not_fail_and_what_worked_since_hides_what_failed_before(said: tuple[str, ...]) -> None:
    assert failed_rollout(events(*said), NOW) is None


def test_what_failed_before_the_last_change_of_the_stack_is_of_another_deployment() -> None:
    assert failed_rollout(events(FAILED, BACK), NOW + timedelta(minutes=1)) is None


STACK, SERVICE = "AWS::CloudFormation::Stack", "AWS::ECS::Service"


def test_the_last_operation_of_a_stack_is_told_from_those_before() -> None:
    oldest_first = [
        (STACK, "CREATE_IN_PROGRESS", ""),
        (SERVICE, "CREATE_FAILED", "an earlier failure"),
        (STACK, "UPDATE_IN_PROGRESS", "User Initiated"),
        (SERVICE, "UPDATE_FAILED", "circuit breaker"),
        (SERVICE, "UPDATE_FAILED", "Resource update cancelled"),
        (STACK, "UPDATE_ROLLBACK_IN_PROGRESS", ""),
        (STACK, "UPDATE_ROLLBACK_COMPLETE", ""),
    ]
    answer = [
        {
            "EventId": str(second),
            "StackId": "s",
            "StackName": "s",
            "LogicalResourceId": "ServiceD69D759B",
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": NOW + timedelta(seconds=second),
        }
        for second, (kind, status, reason) in enumerate(oldest_first)
    ]
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    with Stubber(cloud.cloudformation) as cloudformation:
        cloudformation.add_response("describe_stack_events", {"StackEvents": answer[::-1]})
        found = last_operation(cloud, "s")
    assert found
    assert (found.began, found.ended) == (NOW + timedelta(seconds=2), NOW + timedelta(seconds=6))
    assert found.cause
    assert found.cause.reason == "circuit breaker"
