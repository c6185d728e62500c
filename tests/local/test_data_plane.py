"""The data plane with real processes behind a real Envoy, seen through boto3 and HTTP."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cortex_cdk.localcloud.tasks import gpus
from tests.local.data_plane_support import REGION, REPOSITORY, Cloud, cloud, until

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud(tmp_path_factory.mktemp("state")) as result:
        yield result


@pytest.fixture
def api(running: Cloud, request: pytest.FixtureRequest) -> Iterator[str]:
    """An endpoint ``/<name>`` that forwards to a target group of the same name; its service goes at the end."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:30].rstrip("-")
    running.group(name)
    running.rule(len(running.groups), f"/{name}", f"/{name}/*", weights={name: 1})
    yield name
    ecs = running.client("ecs")
    if ecs.describe_services(cluster="main", services=[name])["services"]:
        ecs.delete_service(cluster="main", service=name, force=True)
        running.plane.wake()


class Traffic:
    """Clients that ask again and again; what they got, by status and answer."""

    def __init__(self, running: Cloud, path: str, clients: int = 4) -> None:
        self.seen: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._work = [self._pool.submit(self._ask, running, path) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for work in self._work:
            work.result()
        self._pool.shutdown()

    def _ask(self, running: Cloud, path: str) -> None:
        while not self._stop.is_set():
            status, content = running.get(path)
            with self._lock:
                self.seen[status, content["answer"] if status == 200 else str(content)] += 1


def test_answers(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="one"))
    service = running.wait_for_rollout(api)

    assert (service["runningCount"], service["pendingCount"]) == (1, 0)
    assert any("has reached a steady state" in event["message"] for event in service["events"])
    status, content = running.get(f"/{api}?x=1")
    assert (status, content["answer"], content["path"]) == (200, "one", f"/{api}?x=1")
    assert running.get("/other") == (404, {"error": "no such API"})
    assert [item["TargetHealth"]["State"] for item in running.health(api)] == ["healthy"]

    (task,) = running.tasks(api)
    assert (task["lastStatus"], task["startedBy"]) == ("RUNNING", service["deployments"][0]["id"])
    binding = task["containers"][0]["networkBindings"][0]
    assert (binding["containerPort"], binding["bindIP"]) == (8888, "127.0.0.1")


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


def test_request_headers(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)

    given = {"X-Forwarded-For": "10.1.1.1", "X-Request-Id": "mine"}
    headers = running.get(f"/{api}", headers=given)[1]["headers"]

    assert headers["x-forwarded-for"] == "10.1.1.1,127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(running.settings.http_port)
    assert headers["x-request-id"] == "mine"
    assert not [name for name in headers if name.startswith("x-envoy")]
    root, _, rest = headers["x-amzn-trace-id"].partition("=")
    assert (root, [len(part) for part in rest.split("-")]) == ("Root", [1, 8, 24])
    kept = running.get(f"/{api}", headers={"X-Amzn-Trace-Id": "Root=1-5-6"})[1]["headers"]
    assert kept["x-amzn-trace-id"] == "Root=1-5-6"


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


def test_draining_lets_requests_finish(running: Cloud, api: str, tmp_path: Path) -> None:
    release = tmp_path / "release"
    running.service(api, running.definition(ANSWER="slow"))
    running.wait_for_rollout(api)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.get, f"/{api}?until={release}")
        until(lambda: _in_flight(running) > 0)
        running.update(api, desiredCount=0)
        until(lambda: [item["TargetHealth"]["State"] for item in running.health(api)] == ["draining"])
        until(lambda: running.get(f"/{api}")[0] == 503)
        assert not slow.done()
        release.touch()
        status, content = slow.result()

    assert (status, content["answer"]) == (200, "slow")
    until(lambda: running.describe(api)["runningCount"] == 0 and not running.health(api))


def _in_flight(running: Cloud) -> int:
    clusters = running.plane._envoy.ask_json("/clusters?format=json")["cluster_statuses"]
    stats = [stat for item in clusters for host in item.get("host_statuses", []) for stat in host["stats"]]
    return sum(int(stat.get("value", 0)) for stat in stats if stat["name"] == "rq_active")


def test_delete(running: Cloud, api: str) -> None:
    running.service(api, running.definition(), 2)
    running.wait_for_rollout(api)
    pids = {running.get(f"/{api}")[1]["pid"] for _ in range(20)}

    running.client("ecs").delete_service(cluster="main", service=api, force=True)
    running.plane.wake()

    until(lambda: running.describe(api)["status"] == "INACTIVE")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert running.health(api) == []


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


def test_weights(running: Cloud) -> None:
    for name in ("heads", "tails"):
        running.group(name)
    rule = running.rule(900, "/coin", weights={"heads": 3, "tails": 1})
    for name in ("heads", "tails"):
        running.service(name, running.definition(ANSWER=name))
    for name in ("heads", "tails"):
        running.wait_for_rollout(name)

    seen = Counter(running.get("/coin")[1]["answer"] for _ in range(400))
    assert 240 < seen["heads"] < 360  # 300 expected, standard deviation 8.7

    targets = [{"TargetGroupArn": running.groups["heads"], "Weight": 0}, {"TargetGroupArn": running.groups["tails"]}]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}
    with Traffic(running, "/coin") as traffic:
        running.client("elbv2").modify_rule(RuleArn=rule, Actions=[action])
        running.plane.wake()
        until(lambda: {running.get("/coin")[1]["answer"] for _ in range(20)} == {"tails"})
    assert {status for status, _ in traffic.seen} == {200}


def test_target_that_closes_the_connection(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)

    assert running.get(f"/{api}?exit=3", method="POST", body=b"{}")[0] == 502

    (stopped,) = until(lambda: running.tasks(api, "STOPPED"))
    assert stopped["containers"][0]["exitCode"] == 3  # the request reached one replica, once


def test_envoy_is_started_again(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="one"))
    running.wait_for_rollout(api)
    until(lambda: running.get(f"/{api}")[0] == 200)

    killed = running.plane._envoy._process.pid
    os.kill(killed, signal.SIGKILL)

    def answers() -> bool:
        try:
            return running.get(f"/{api}")[0] == 200
        except OSError:
            return False

    until(lambda: running.plane._envoy._process.pid != killed)
    until(answers)


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


def test_idle_timeout(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)
    elb = running.client("elbv2")
    attribute = {"Key": "idle_timeout.timeout_seconds", "Value": "1"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=running.balancer, Attributes=[attribute])
    running.plane.wake()
    try:
        until(lambda: running.get(f"/{api}?sleep=2")[0] == 504)
    finally:
        attribute["Value"] = "60"
        elb.modify_load_balancer_attributes(LoadBalancerArn=running.balancer, Attributes=[attribute])
        running.plane.wake()
    until(lambda: running.get(f"/{api}?sleep=1.5")[0] == 200)


def test_a_task_that_is_stopped_before_it_starts(running: Cloud) -> None:
    ecs = running.client("ecs")

    (task,) = ecs.run_task(cluster="main", taskDefinition=running.definition("never"))["tasks"]
    ecs.stop_task(cluster="main", task=task["taskArn"])
    running.plane.wake()

    until(lambda: ecs.describe_tasks(cluster="main", tasks=[task["taskArn"]])["tasks"][0]["lastStatus"] == "STOPPED")


def test_counts_of_the_cluster(running: Cloud, api: str) -> None:
    running.service(api, running.definition(), 2)
    running.wait_for_rollout(api)

    ecs = running.client("ecs")
    until(lambda: ecs.describe_clusters(clusters=["main"])["clusters"][0]["runningTasksCount"] >= 2)
    assert any(arn.endswith(f"/{api}") for arn in ecs.list_services(cluster="main")["serviceArns"])
    ecs.delete_service(cluster="main", service=api, force=True)
    running.plane.wake()
    until(lambda: not any(arn.endswith(f"/{api}") for arn in ecs.list_services(cluster="main")["serviceArns"]))


def test_a_second_load_balancer_shares_the_port(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="first"))
    running.wait_for_rollout(api)
    elb = running.client("elbv2")
    subnets = [subnet["SubnetId"] for subnet in running.client("ec2").describe_subnets()["Subnets"]][:2]
    second = elb.create_load_balancer(Name="second", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    action = {"Type": "forward", "TargetGroupArn": running.groups[api]}
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "MessageBody": "second"}}
    listener = elb.create_listener(LoadBalancerArn=second, Protocol="HTTP", Port=80, DefaultActions=[fixed])
    elb.create_rule(
        ListenerArn=listener["Listeners"][0]["ListenerArn"],
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/only-in-the-second"]}],
        Actions=[action],
    )
    running.plane.wake()

    until(lambda: running.get("/only-in-the-second")[0] == 200)
    assert running.get("/neither") == (404, {"error": "no such API"})
    elb.delete_load_balancer(LoadBalancerArn=second)
    running.plane.wake()
    until(lambda: running.get("/only-in-the-second")[0] == 404)
    assert running.get(f"/{api}")[0] == 200
