"""Instances that fill up, as a user meets them: waiting for one, a group at its maximum, and idle ones that go."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CORTEX, Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

SPEED = "20"
SMALL = {"name": "small", "instance_types": ["t3.small"], "min_instances": 1, "max_instances": 2}
"""2048 CPU units an instance: room for two replicas of 900m."""


@pytest.fixture(scope="module", autouse=True)
def small_cluster(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> None:
    cortex.environ["CORTEX_LOCAL_SPEED"] = SPEED
    file = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    file.write_text(yaml.safe_dump({"instance_groups": [SMALL]}))
    cortex.json("cluster", "up", str(file), "--yes")


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., str]:
    """Writes a project with one API; returns its folder."""

    def write(name: str, cpu: str, replicas: int, **autoscaling: Any) -> str:
        (tmp_path / "predictor.py").write_text(
            "class PythonPredictor:\n"
            "    def __init__(self, config):\n        pass\n"
            "    def predict(self, payload):\n        return payload\n"
        )
        api = {
            "name": name,
            "kind": "RealtimeAPI",
            "predictor": {"type": "python", "path": "predictor.py"},
            "compute": {"cpu": cpu, "mem": "200Mi"},
            "autoscaling": {"min_replicas": replicas, "max_replicas": replicas, **autoscaling},
        }
        (tmp_path / "cortex.yaml").write_text(yaml.safe_dump([api]))
        return str(tmp_path)

    return write


class Seen:
    """What the AWS APIs say of the one instance group, all at the same moment."""

    def __init__(self, cortex: Cortex) -> None:
        ecs = cortex.aws("ecs")
        (self.group,) = cortex.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        (self.cluster,) = ecs.describe_clusters(clusters=["cortex-local"])["clusters"]
        arns = ecs.list_container_instances(cluster="cortex-local")["containerInstanceArns"]
        described = ecs.describe_container_instances(cluster="cortex-local", containerInstances=arns)
        self.registered = described["containerInstances"]
        found = cortex.aws("ec2").describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
        self.ec2 = [one for reservation in found["Reservations"] for one in reservation["Instances"]]
        listed = ecs.list_tasks(cluster="cortex-local")["taskArns"]
        self.tasks = ecs.describe_tasks(cluster="cortex-local", tasks=listed)["tasks"] if listed else []

    def instances(self) -> set[str]:
        """The instances in service; everything that knows them must agree."""
        members = {one["InstanceId"] for one in self.group["Instances"] if one["LifecycleState"] == "InService"}
        assert {one["ec2InstanceId"] for one in self.registered} == members
        assert {one["InstanceId"] for one in self.ec2} == members
        assert self.cluster["registeredContainerInstancesCount"] == len(members)
        return members


def amount(instance: dict[str, Any], kind: str, name: str) -> int:
    return next(int(item["integerValue"]) for item in instance[kind] if item["name"] == name)


def begin(cortex: Cortex, project: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CORTEX, "deploy", project, *options],
        env=cortex.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said_until(deploy: subprocess.Popen[str], words: str) -> str:
    """The first line with these words. The deployment is interrupted then; its operation goes on by itself."""
    assert deploy.stderr
    line = next(line for line in deploy.stderr if words in line)
    deploy.send_signal(signal.SIGINT)
    deploy.communicate(timeout=60)
    return line


def test_the_instances_of_a_new_cluster_are_there_at_once(cortex: Cortex) -> None:
    seen = Seen(cortex)
    assert len(seen.instances()) == 1
    (instance,) = seen.registered
    for kind in ("registeredResources", "remainingResources"):
        assert (amount(instance, kind, "CPU"), amount(instance, kind, "MEMORY")) == (2048, 1669)
    assert (instance["status"], instance["capacityProviderName"]) == ("ACTIVE", "cortex-local_small")
    attributes = {item["name"]: item.get("value") for item in instance["attributes"]}
    assert attributes["ecs.instance-type"] == "t3.small"


def test_replicas_without_room_wait_for_another_instance(cortex: Cortex, project: Callable[..., str]) -> None:
    deploy = begin(cortex, project("text", "900m", 3))
    assert deploy.stderr
    said = next(line for line in deploy.stderr if "waiting for capacity" in line)
    meanwhile = cortex.json("get", "text")
    _, stderr = deploy.communicate(timeout=120)
    assert deploy.returncode == 0, stderr
    if meanwhile["replicas"]["up_to_date"] < 3:  # else the instance was quicker than the question
        assert meanwhile["status"] == "updating", "two of at least three are not enough"
    assert "has insufficient CPU units available" in said
    assert "instance group small starts 1 instance (1 of at most 2 run)" in said

    (api,) = cortex.json("get")
    assert (api["status"], api["replicas"]["up_to_date"]) == ("live", 3)
    seen = Seen(cortex)
    assert len(seen.instances()) == 2
    arns = [one["containerInstanceArn"] for one in seen.registered]
    assert sorted(arns.index(task["containerInstanceArn"]) for task in seen.tasks) in ([0, 0, 1], [0, 1, 1])
    for instance in seen.registered:
        tasks = [task for task in seen.tasks if task["containerInstanceArn"] == instance["containerInstanceArn"]]
        assert instance["runningTasksCount"] == len(tasks)
        assert amount(instance, "remainingResources", "CPU") == 2048 - 922 * len(tasks)
        assert amount(instance, "remainingResources", "MEMORY") == 1669 - 200 * len(tasks)
    (shown,) = cortex.json("cluster", "info")["instance_groups"]
    assert (shown["running"], shown["desired"], shown["min"], shown["max"]) == (2, 2, 1, 2)


def test_instances_outlive_a_restart(cortex: Cortex) -> None:
    before = Seen(cortex).instances()
    cortex.ok("local", "down")
    cortex.ok("local", "up")
    assert Seen(cortex).instances() == before
    until(lambda: cortex.json("get")[0]["replicas"]["up_to_date"] == 3)


def test_at_the_maximum_an_api_waits_and_force_gets_out_of_it(cortex: Cortex, project: Callable[..., str]) -> None:
    folder = project("more", "1900m", 3)
    said = said_until(begin(cortex, folder), "its maximum")
    assert "waiting for capacity" in said
    assert "instance group small has 2 instances, its maximum: raise max_instances (cortex cluster configure)" in said
    api = cortex.json("get", "more")
    assert api["status"] == "updating"
    assert "insufficient CPU units available; instance group small has 2 instances, its maximum" in api["reason"]
    assert sorted(task["lastStatus"] for task in Seen(cortex).tasks).count("PROVISIONING") == 3

    assert "waiting for capacity" in said_until(begin(cortex, folder), "its maximum")  # the same is waited for again
    folder = project("more", "50m", 1)
    refused = cortex.run("deploy", folder)
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    cortex.ok("deploy", folder, "--force")
    assert cortex.json("get", "more")["status"] == "live"


def test_an_update_that_waits_is_given_up_without_touching_what_serves(
    cortex: Cortex, project: Callable[..., str]
) -> None:
    said_until(begin(cortex, project("text", "1900m", 3)), "its maximum")
    replicas = cortex.json("get", "text")["replicas"]
    assert (replicas["up_to_date"], replicas["stale"]) == (0, 3)
    running = {task["taskArn"] for task in Seen(cortex).tasks if task["lastStatus"] == "RUNNING"}

    cortex.ok("deploy", project("text", "900m", 3), "--force")
    assert cortex.json("get", "text")["status"] == "live"
    assert {task["taskArn"] for task in Seen(cortex).tasks} == running

    said_until(begin(cortex, project("text", "1900m", 3)), "its maximum")
    cortex.ok("delete", "text", "--yes")
    assert [api["name"] for api in cortex.json("get")] == ["more"]


def test_an_instance_that_is_idle_goes_and_one_with_replicas_stays(cortex: Cortex) -> None:
    until(lambda: cortex.json("cluster", "info")["instance_groups"][0]["running"] == 1)
    seen = Seen(cortex)
    assert len(seen.instances()) == 1
    assert seen.group["DesiredCapacity"] == 1
    assert cortex.json("get", "more")["replicas"]["up_to_date"] == 1


def test_replicas_that_wait_for_room_are_not_asked_for_again(cortex: Cortex, project: Callable[..., str]) -> None:
    said = cortex.run("deploy", project("burst", "900m", 1, max_replicas=100, target_replica_requests_per_second=2))
    assert said.returncode == 0, said.stderr
    assert "burst: group small has room for 4 of 100" in said.stderr

    def requested() -> int:
        return int(cortex.json("get", "burst")["replicas"]["requested"])

    with Traffic(cortex.json("get", "burst")["endpoint"], {}, str, clients=4, pause=0.1):
        until(lambda: requested() > 4)
        time.sleep(15)  # Five minutes: a cooldown of one has ended long ago.
        # Four clients send forty requests a second at most, which are the targets of twenty replicas.
        assert requested() <= 20
    activities = cortex.aws("application-autoscaling").describe_scaling_activities(ServiceNamespace="ecs")
    newest = activities["ScalingActivities"][0]
    assert newest["StatusCode"] == "InProgress"
    assert newest["StatusMessage"].endswith("Waiting for change to be fulfilled by ecs.")
    cortex.ok("delete", "burst", "--yes")
