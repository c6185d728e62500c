"""Containers as processes: what they are given, how they end, what replaces them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cortex_cdk.localcloud.containers import gpus
from cortex_cdk.localcloud.services.ecs.backend import backends
from cortex_cdk.localcloud.state_lock import STATE_LOCK
from tests.local.localcloud.data_plane_support import IMAGE, Cloud, Traffic
from tests.local.waiting import until


def test_environment_of_a_task(running: Cloud, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "x")
    monkeypatch.setenv("LC_TIME", "C")
    running.service(api, running.definition(ANSWER="one"))
    running.wait_for_rollout(api)

    environment = running.get(f"/{api}")[1]["environment"]

    (task,) = running.tasks(api)
    task_id = task["taskArn"].rpartition("/")[2]
    assert environment["AWS_ENDPOINT_URL"] == running.control
    assert environment["ECS_CONTAINER_METADATA_URI_V4"] == f"{running.control}/v4/{task_id}"
    assert environment["HOME"] == environment["TMPDIR"] == str(running.settings.state / "tasks" / task_id)
    assert environment["LC_TIME"] == "C"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert "SECRET_OF_THE_DAEMON" not in environment
    metadata = running.plane.metadata(task_id)
    assert metadata and metadata["TaskARN"] == task["taskArn"]


def test_replica_killed_under_load(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="one"), 2)
    running.wait_for_rollout(api)
    pid = running.get(f"/{api}")[1]["pid"]

    with Traffic(running, f"/{api}", clients=4) as traffic:
        until(lambda: traffic.seen[200, "one"] > 50)
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(running.tasks(api, "STOPPED")) == 1)
        before = traffic.seen[200, "one"]
        until(lambda: running.describe(api)["runningCount"] == 2 and traffic.seen[200, "one"] > before + 50)

    failed = sum(count for (status, _), count in traffic.seen.items() if status != 200)
    assert failed <= 4  # one request of each client can have been in flight on the killed process
    (stopped,) = running.tasks(api, "STOPPED")
    assert (stopped["containers"][0]["exitCode"], stopped["stopCode"]) == (137, "EssentialContainerExited")
    assert running.describe(api)["deployments"][0]["failedTasks"] == 0


def test_memory_limit(running: Cloud, api: str) -> None:
    running.service(api, running.definition(memory=100, EAT="150"))

    (task, *_) = until(lambda: running.tasks(api, "STOPPED"))

    assert task["containers"][0]["exitCode"] == 137
    assert task["containers"][0]["reason"].startswith("OutOfMemoryError: Container killed due to memory usage")


def test_stop_timeout(running: Cloud, api: str) -> None:
    running.service(api, running.definition(IGNORE_TERM="1"))
    running.wait_for_rollout(api)
    pid = running.get(f"/{api}")[1]["pid"]

    running.update(api, desiredCount=0)

    (task, *_) = until(lambda: running.tasks(api, "STOPPED"))
    until(lambda: running.tasks(api, "STOPPED")[0]["lastStatus"] == "STOPPED")
    assert not psutil.pid_exists(pid)
    assert running.tasks(api, "STOPPED")[0]["containers"][0]["exitCode"] == 137
    assert task["stopCode"] == "ServiceSchedulerInitiated"


def test_all_of_a_task_ends_with_it(running: Cloud, tmp_path: Path) -> None:
    """Also what its process has put into a process group of its own, and what ignores that its parent has gone."""
    pids = tmp_path / "pids"
    child = (
        f"import os, time; os.setpgid(0, 0); open({str(pids)!r}, 'a').write(str(os.getpid()) + ' '); time.sleep(600)"
    )
    code = f"import subprocess, sys; [subprocess.Popen([sys.executable, '-c', {child!r}]) for _ in range(2)][1].wait()"
    override = {"containerOverrides": [{"name": "api", "command": ["python", "-c", code]}]}
    ecs = running.client("ecs")
    (task,) = ecs.run_task(cluster="main", taskDefinition=running.definition("family"), overrides=override)["tasks"]
    running.plane.wake()
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)

    ecs.stop_task(cluster="main", task=task["taskArn"])
    running.plane.wake()

    until(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids.read_text().split()))


def test_task_stopped_by_hand_is_replaced(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)
    (task,) = running.tasks(api)

    running.client("ecs").stop_task(cluster="main", task=task["taskArn"], reason="because")
    running.plane.wake()

    (replacement,) = until(lambda: [t for t in running.tasks(api) if t["taskArn"] != task["taskArn"]])
    until(lambda: running.get(f"/{api}")[0] == 200)
    (stopped,) = running.tasks(api, "STOPPED")
    assert (stopped["stoppedReason"], stopped["stopCode"]) == ("because", "UserInitiated")
    assert replacement["lastStatus"] == "RUNNING"


def test_a_task_that_makes_no_sense_stops_no_other(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)
    (broken,) = running.client("ecs").run_task(cluster="main", taskDefinition=running.definition("broken"))["tasks"]
    (backend,) = backends()
    # What a bug, or another version of moto, might leave behind: looking at it raises.
    with STATE_LOCK:
        vars(backend.tasks["main"][broken["taskArn"]]).update(group=None, _last_status="PROVISIONING")
    before = running.get(f"/{api}")[1]["pid"]

    os.kill(before, signal.SIGKILL)

    until(lambda: running.get(f"/{api}")[0] == 200 and running.get(f"/{api}")[1]["pid"] != before)
    assert running.tasks(api, "STOPPED")[0]["containers"][0]["exitCode"] == 137
    with STATE_LOCK:
        del backend.tasks["main"][broken["taskArn"]]


def test_a_definition_that_makes_no_sense_fails_its_task(running: Cloud) -> None:
    ecs = running.client("ecs")
    logging = {"logDriver": "json-file", "options": {"max-file": "many"}}
    container = {"name": "c", "image": IMAGE, "memory": 64, "command": ["true"], "logConfiguration": logging}
    ecs.register_task_definition(family="senseless", containerDefinitions=[container])

    (task,) = ecs.run_task(cluster="main", taskDefinition="senseless")["tasks"]
    running.plane.wake()

    def described() -> dict[str, str]:
        return dict(ecs.describe_tasks(cluster="main", tasks=[task["taskArn"]])["tasks"][0])

    until(lambda: described()["lastStatus"] == "STOPPED")
    assert described()["stopCode"] == "TaskFailedToStart"
    assert described()["stoppedReason"].startswith("CannotStartContainerError: ValueError: invalid literal")


def test_run_task(running: Cloud) -> None:
    ecs = running.client("ecs")
    definition = running.definition("job")
    override = {"containerOverrides": [{"name": "api", "command": ["python", "-c", "raise SystemExit(7)"]}]}

    (task,) = ecs.run_task(cluster="main", taskDefinition=definition, startedBy="me", overrides=override)["tasks"]
    running.plane.wake()

    (ended,) = until(
        lambda: [
            t
            for t in ecs.describe_tasks(cluster="main", tasks=[task["taskArn"]])["tasks"]
            if t["lastStatus"] == "STOPPED"
        ]
    )
    assert ended["containers"][0]["exitCode"] == 7
    assert ecs.list_tasks(cluster="main", startedBy="me", desiredStatus="STOPPED")["taskArns"] == [task["taskArn"]]


def test_a_task_that_is_stopped_before_it_starts(running: Cloud) -> None:
    ecs = running.client("ecs")

    (task,) = ecs.run_task(cluster="main", taskDefinition=running.definition("never"))["tasks"]
    ecs.stop_task(cluster="main", task=task["taskArn"])
    running.plane.wake()

    until(lambda: ecs.describe_tasks(cluster="main", tasks=[task["taskArn"]])["tasks"][0]["lastStatus"] == "STOPPED")


def gpu_definition(running: Cloud, name: str) -> str:
    ecs = running.client("ecs")
    plain = ecs.describe_task_definition(taskDefinition=running.definition())["taskDefinition"]
    container = {**plain["containerDefinitions"][0], "resourceRequirements": [{"type": "GPU", "value": "1"}]}
    arn: str = ecs.register_task_definition(family=name, containerDefinitions=[container])["taskDefinition"][
        "taskDefinitionArn"
    ]
    return arn


@pytest.fixture
def one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose ``nvidia-smi`` lists one GPU."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    gpus.devices.cache_clear()
    yield
    gpus.devices.cache_clear()


def test_no_gpu(running: Cloud, api: str) -> None:
    if gpus.devices():
        pytest.skip("this machine has a GPU")

    running.service(api, gpu_definition(running, api))

    event = until(lambda: running.describe(api)["events"])[0]["message"]
    assert "was unable to place a task because no container instance met all of its requirements" in event
    assert running.tasks(api) == []


def test_a_gpu_belongs_to_one_task(running: Cloud, api: str, one_gpu: None) -> None:
    running.service(
        api,
        gpu_definition(running, api),
        deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100},
    )
    running.wait_for_rollout(api)
    assert running.get(f"/{api}")[1]["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
    assert running.tasks(api)[0]["containers"][0]["gpuIds"] == ["0"]

    running.update(api, desiredCount=2)
    until(lambda: "insufficient GPU resource" in running.describe(api)["events"][0]["message"])
    assert len(running.tasks(api)) == 1

    running.update(api, desiredCount=1, forceNewDeployment=True)
    running.wait_for_rollout(api)
    assert running.get(f"/{api}")[1]["environment"]["CUDA_VISIBLE_DEVICES"] == "0"


def test_the_tasks_of_a_terminated_instance_start_again_on_its_successor(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)
    (task,) = running.tasks(api)
    arn = task["containerInstanceArn"]
    assert running.client("ecs").list_tasks(cluster="main", containerInstance=arn)["taskArns"]
    (instance,) = running.client("ecs").describe_container_instances(cluster="main", containerInstances=[arn])[
        "containerInstances"
    ]
    (target,) = running.health(api)
    assert target["Target"]["Id"] == instance["ec2InstanceId"]

    running.client("ec2").terminate_instances(InstanceIds=[instance["ec2InstanceId"]])
    running.plane.wake()
    (stopped,) = until(lambda: [one for one in running.tasks(api, "STOPPED") if one["lastStatus"] == "STOPPED"])
    assert stopped["stoppedReason"] == "Host EC2 instance terminated."
    until(lambda: "No Container Instances were found in your cluster" in str(running.describe(api)["events"][:3]))
    until(lambda: running.describe(api)["runningCount"] == 1)
    assert running.tasks(api)[0]["containerInstanceArn"] != arn
