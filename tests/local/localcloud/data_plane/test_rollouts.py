"""Deployments of services: rolling updates, failures, the circuit breaker, seen through boto3 and HTTP."""

from __future__ import annotations

import os
import signal
from functools import partial

import psutil

from tests.local.localcloud.data_plane_support import REGION, REPOSITORY, Cloud, Traffic
from tests.local.waiting import until

# Of the memory of the only instance, in MiB: two such replicas find room.
A_THIRD = 70_000
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def test_rolling_update_under_load(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="old"), 2)
    running.wait_for_rollout(api)

    with Traffic(running, f"/{api}") as traffic:
        until(lambda: traffic.seen[200, "old"] > 20)
        running.update(api, taskDefinition=running.definition(ANSWER="new"))
        service = running.wait_for_rollout(api)
        until(lambda: len(running.tasks(api)) == 2)
        before = traffic.seen[200, "new"]
        until(lambda: traffic.seen[200, "new"] > before + 20)

    assert set(traffic.seen) == {(200, "old"), (200, "new")}
    assert service["deployments"][0]["status"] == "PRIMARY"
    assert {running.get(f"/{api}")[1]["answer"] for _ in range(10)} == {"new"}


def test_update_without_surge(running: Cloud, api: str) -> None:
    running.service(
        api,
        running.definition(ANSWER="old"),
        deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100},
    )
    running.wait_for_rollout(api)

    running.update(api, taskDefinition=running.definition(ANSWER="new"))
    running.wait_for_rollout(api)

    until(
        lambda: running.get(f"/{api}")[0] == 200
    )  # there was no target in between: the router hears of it a moment later
    assert running.get(f"/{api}")[1]["answer"] == "new"
    assert len(running.tasks(api)) == 1


def test_update_without_change_deploys_nothing(running: Cloud, api: str) -> None:
    definition = running.definition()
    running.service(api, definition)
    deployed = running.wait_for_rollout(api)["deployments"][0]["id"]

    same = running.update(api, taskDefinition=definition, desiredCount=2)
    until(lambda: running.describe(api)["runningCount"] == 2)
    forced = running.update(api, forceNewDeployment=True)

    assert same["deployments"][0]["id"] == deployed
    assert forced["deployments"][0]["id"] != deployed
    running.wait_for_rollout(api)


def test_first_deployment_that_fails(running: Cloud, api: str) -> None:
    running.service(api, running.definition(FAIL="ValueError: no model"), deploymentConfiguration=BREAKER)

    service = running.wait_for_rollout(api, "FAILED")

    deployment = service["deployments"][0]
    assert deployment["failedTasks"] == 3
    assert deployment["rolloutStateReason"] == (
        "ECS deployment circuit breaker: tasks failed to start. "
        "Essential container in task exited (exit code 1): ValueError: no model"
    )
    stopped = running.tasks(api, "STOPPED")
    assert {task["containers"][0]["reason"] for task in stopped} == {"ValueError: no model"}
    assert len(stopped) == 3
    assert running.get(f"/{api}")[0] == 503


def test_a_task_that_becomes_healthy_ends_a_row_of_failures(running: Cloud, api: str) -> None:
    """The third replica never finds room, so that the rollout goes on."""
    breaker = {"enable": True, "rollback": False, "thresholdConfiguration": {"type": "COUNT", "value": 2}}
    configuration = {"deploymentCircuitBreaker": breaker}
    running.service(api, running.definition(memory=A_THIRD), 3, deploymentConfiguration=configuration)
    for _ in range(3):
        before = until(lambda: two_healthy_tasks(running, api))
        os.kill(running.get(f"/{api}")[1]["pid"], signal.SIGKILL)
        until(partial(another_pair, running, api, before))

    deployment = running.describe(api)["deployments"][0]
    assert (deployment["rolloutState"], deployment["failedTasks"]) == ("IN_PROGRESS", 0)


def another_pair(cloud: Cloud, api: str, before: set[str]) -> set[str]:
    return two_healthy_tasks(cloud, api) - before


def two_healthy_tasks(cloud: Cloud, api: str) -> set[str]:
    """The ports of the healthy tasks, where there are two; else nothing."""
    targets = [target for target in cloud.health(api) if target["TargetHealth"]["State"] == "healthy"]
    return {str(target["Target"]["Port"]) for target in targets} if len(targets) == 2 else set()


def test_replicas_that_take_too_much_memory_while_they_start_never_count_as_healthy(running: Cloud, api: str) -> None:
    running.service(api, running.definition(memory=100, EAT="150"), deploymentConfiguration=BREAKER)

    service = running.wait_for_rollout(api, "FAILED")

    assert service["deployments"][0]["failedTasks"] == 3
    assert "OutOfMemoryError" in service["deployments"][0]["rolloutStateReason"]
    assert not [event for event in service["events"] if "steady state" in event["message"]]


def test_update_that_fails_is_rolled_back(running: Cloud, api: str) -> None:
    good = running.definition(ANSWER="good")
    running.service(api, good, deploymentConfiguration=BREAKER)
    first = running.wait_for_rollout(api)["deployments"][0]["id"]
    (task,) = running.tasks(api)

    with Traffic(running, f"/{api}") as traffic:
        bad = running.update(api, taskDefinition=running.definition(FAIL="boom"))["deployments"][0]["id"]
        until(lambda: running.describe(api)["deployments"][0]["id"] == first)
        service = running.wait_for_rollout(api)

    assert set(traffic.seen) == {(200, "good")}
    assert service["taskDefinition"] == good
    assert [running_task["taskArn"] for running_task in running.tasks(api)] == [task["taskArn"]]
    messages = [event["message"] for event in service["events"]]
    assert f"(service {api}) (deployment {bad}) deployment failed: tasks failed to start." in messages
    assert f"(service {api}) rolling back to deployment {first}." in messages


def test_health_checks_that_fail_count_as_failures(running: Cloud, api: str) -> None:
    running.service(
        api, running.definition(READY="no"), deploymentConfiguration=BREAKER, healthCheckGracePeriodSeconds=0
    )

    service = running.wait_for_rollout(api, "FAILED")

    assert "Task failed ELB health checks in (target-group" in service["deployments"][0]["rolloutStateReason"]


def test_missing_image(running: Cloud, api: str) -> None:
    image = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:missing"
    running.service(api, running.definition(image=image), deploymentConfiguration=BREAKER)

    service = running.wait_for_rollout(api, "FAILED")

    assert "CannotPullContainerError" in service["deployments"][0]["rolloutStateReason"]
    (task, *_) = running.tasks(api, "STOPPED")
    assert (task["stopCode"], "exitCode" in task["containers"][0]) == ("TaskFailedToStart", False)
    assert f"{image}: not found" in task["stoppedReason"]


def test_delete(running: Cloud, api: str) -> None:
    running.service(api, running.definition(), 2)
    running.wait_for_rollout(api)
    pids = {running.get(f"/{api}")[1]["pid"] for _ in range(20)}

    running.client("ecs").delete_service(cluster="main", service=api, force=True)
    running.plane.wake()

    until(lambda: running.describe(api)["status"] == "INACTIVE")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert running.health(api) == []


def test_bounds_of_a_scalable_target(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)
    scaling = running.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/main/{api}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }

    scaling.register_scalable_target(**target, MinCapacity=2, MaxCapacity=3)
    running.plane.wake()
    until(lambda: running.describe(api)["runningCount"] == 2)
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=1)
    running.plane.wake()
    until(lambda: running.describe(api)["runningCount"] == 1)

    activities = scaling.describe_scaling_activities(ServiceNamespace="ecs", ResourceId=target["ResourceId"])
    assert [activity["Description"] for activity in activities["ScalingActivities"]] == [
        "Setting desired count to 1.",
        "Setting desired count to 2.",
    ]
    assert activities["ScalingActivities"][1]["Cause"] == "minimum capacity was set to 2"


def test_counts_of_the_cluster(running: Cloud, api: str) -> None:
    running.service(api, running.definition(), 2)
    running.wait_for_rollout(api)

    ecs = running.client("ecs")
    until(lambda: ecs.describe_clusters(clusters=["main"])["clusters"][0]["runningTasksCount"] >= 2)
    assert any(arn.endswith(f"/{api}") for arn in ecs.list_services(cluster="main")["serviceArns"])
    ecs.delete_service(cluster="main", service=api, force=True)
    running.plane.wake()
    until(lambda: not any(arn.endswith(f"/{api}") for arn in ecs.list_services(cluster="main")["serviceArns"]))
