"""Faults on request: only what must fails, ``cortex get`` names the cause, and all is well when the fault has ended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.conftest import CORTEX, Cortex
from tests.json_output import read_json
from tests.local.traffic import Traffic
from tests.local.waiting import until

LOCAL_SPEED = "20"
CLIENTS = 4
PREDICTOR = (
    "class PythonPredictor:\n"
    "    def __init__(self, config):\n        pass\n"
    "    def predict(self, payload):\n        return payload\n"
)
GROUP = {"name": "small", "instance_types": ["t3.small"], "min_instances": 1, "max_instances": 3}
"""2048 CPU units an instance: room for the two replicas of ``text``, and not for one of ``large``."""


def project(folder: Path, name: str, cpu: str, replicas: int) -> Path:
    folder.mkdir()
    (folder / "predictor.py").write_text(PREDICTOR)
    api = {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"cpu": cpu, "mem": "200Mi"},
        "autoscaling": {"min_replicas": replicas, "max_replicas": replicas},
    }
    (folder / "cortex.yaml").write_text(yaml.safe_dump([api]))
    return folder


@pytest.fixture(scope="module")
def text(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The endpoint of an API with two replicas."""
    file = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    file.write_text(yaml.safe_dump({"instance_groups": [GROUP]}))
    cortex.ok("cluster", "up", str(file), "--yes")
    cortex.ok("deploy", str(project(file.parent / "text", "text", "200m", 2)))
    return str(cortex.json("get", "text")["endpoint"])


@contextmanager
def requests(endpoint: str) -> Iterator[Traffic]:
    with Traffic(endpoint, {"n": 7}, lambda answer: f"n {answer['n']}", clients=CLIENTS) as traffic:
        yield traffic


def causes(cortex: Cortex) -> dict[str, str]:
    return {cause["subject"]: cause["message"] for cause in cortex.json("get", "text")["causes"]}


def named(cortex: Cortex, subject: str) -> str:
    return str(until(lambda: causes(cortex).get(subject)))


def why(cortex: Cortex, name: str = "text") -> list[str]:
    """What ``cortex why`` finds, the first cause first."""
    found = read_json("why", cortex.ok("why", name, "-o", "json"))
    others = [proof["source"].removeprefix("also: ") for proof in found["evidence"] if "also: " in proof["source"]]
    return [found["cause"]["subject"], *others] if found["cause"] else []


def replicas(cortex: Cortex) -> tuple[int, int]:
    """How many replicas ECS runs of how many it wants, and only healthy targets."""
    ecs = cortex.aws("ecs")
    (service,) = ecs.describe_services(cluster="cortex-local", services=["text"])["services"]
    group = service["loadBalancers"][0]["targetGroupArn"]
    targets = cortex.aws("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    healthy = sum(target["TargetHealth"]["State"] == "healthy" for target in targets)
    return healthy, len(targets)


@pytest.fixture(autouse=True)
def no_faults(cortex: Cortex, text: str) -> Iterator[None]:
    """End what a test that failed has left."""
    yield
    cortex.ok("local", "chaos", "--stop")


def all_is_well(cortex: Cortex) -> None:
    until(lambda: replicas(cortex) == (2, 2))
    assert cortex.json("get", "text")["status"] == "live"


def test_a_killed_replica_fails_the_requests_that_it_had_and_no_more(cortex: Cortex, text: str) -> None:
    with requests(text) as traffic:
        traffic.wait_for("n 7")
        said = cortex.ok("local", "chaos", "kill-replica", "text")
        assert said.splitlines() == ["kill-replica text: once", "see what becomes of it with: cortex get text"]
        until(lambda: "(exit code 137: SIGKILL)" in cortex.ok("get", "text"))
        assert why(cortex)[0] == "replica"
        traffic.wait_for("n 7")
    assert sum(traffic.answers.kinds.values()) - traffic.answers.kinds["n 7"] <= CLIENTS, traffic.answers
    all_is_well(cortex)


def test_the_other_replicas_serve_while_one_is_not_ready(cortex: Cortex, text: str) -> None:
    with requests(text) as traffic:
        cortex.ok("local", "chaos", "unready-replica", "text", "--for", "1h")
        words = "1 of 2 replicas fails its health check: Health checks failed with these codes: [503]"
        assert named(cortex, "health checks") == words
        # A replica that has just been started, as after the test before, may still be loading.
        until(lambda: why(cortex)[:1] == ["health checks"])
        (fault,) = cortex.json("local", "chaos", "--list")
        assert (fault["kind"], fault["target"]) == ("unready-replica", "text")
        assert fault["detail"].startswith("replica ")
        traffic.wait_for("n 7")
        assert "unready-replica" in cortex.ok("local", "chaos", "unready-replica", "text", "--stop")
        until(lambda: "health checks" not in causes(cortex))
    assert set(traffic.answers.kinds) == {"n 7"}, traffic.answers
    assert cortex.json("local", "chaos", "--list") == []
    all_is_well(cortex)


def test_a_slow_replica_shows_in_the_longest_answers(cortex: Cortex, text: str) -> None:
    with requests(text) as traffic:
        cortex.json("local", "chaos", "slow-replica", "text", "--for", "6s")
        assert "some answers of the last minutes took 1." in named(cortex, "latency")
        assert "latency" in why(cortex)
        until(lambda: cortex.json("local", "chaos", "--list") == [])
        traffic.wait_for("n 7")
    assert set(traffic.answers.kinds) == {"n 7"}, traffic.answers
    all_is_well(cortex)


@pytest.mark.parametrize(("kind", "subject"), [("s3-down", "storage"), ("logs-down", "logs")])
def test_apis_answer_while_a_service_of_aws_is_down(cortex: Cortex, text: str, kind: str, subject: str) -> None:
    with requests(text) as traffic:
        cortex.ok("local", "chaos", kind, "--for", "1h")
        assert "does not answer (" in named(cortex, subject)
        assert subject in why(cortex)
        traffic.wait_for("n 7")
        cortex.ok("local", "chaos", kind, "--stop")
    assert subject not in causes(cortex)
    assert set(traffic.answers.kinds) == {"n 7"}, traffic.answers
    all_is_well(cortex)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("no-capacity", ("small",), "EC2 has no t3.small left"),
        ("launch-failure", (), "vCPU"),
    ],
)
def test_instances_that_do_not_start_are_named(
    cortex: Cortex, text: str, tmp_path: Path, kind: str, name: tuple[str, ...], said: str
) -> None:
    cortex.ok("local", "chaos", kind, *name, "--for", "1h")
    folder = project(tmp_path / "large", "large", "1800m", 1)
    with requests(text) as traffic, deploying(cortex, folder) as deployed:
        # On a busy machine, the deployment alone takes more than a minute.
        reason = until(lambda: (found := reason_of(cortex, "large")) and said in found and found, seconds=200)
        assert "instance group small cannot start an instance" in reason
        assert why(cortex, "large")[0] == "launch"
        cortex.ok("local", "chaos", kind, *name, "--stop")
        deployed()
        cortex.ok("delete", "large", "--yes")
    assert set(traffic.answers.kinds) == {"n 7"}, traffic.answers
    end_idle_instances(cortex)


def end_idle_instances(cortex: Cortex) -> None:
    """Else the next API would find room at once."""
    ecs, autoscaling = cortex.aws("ecs"), cortex.aws("autoscaling")
    (cluster,) = ecs.list_clusters()["clusterArns"]

    def idle() -> list[str]:
        arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
        found = ecs.describe_container_instances(cluster=cluster, containerInstances=arns)["containerInstances"]
        return [one["ec2InstanceId"] for one in found if not one["runningTasksCount"]]

    for instance in until(idle):
        autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)
    until(lambda: not idle())


def reason_of(cortex: Cortex, name: str) -> str:
    """Why an API has too few replicas, as ``cortex get`` says; empty where it is not there yet."""
    return next((api["reason"] or "" for api in cortex.json("get") if api["name"] == name), "")


@contextmanager
def deploying(cortex: Cortex, folder: Path) -> Iterator[Callable[[], None]]:
    """A deployment that runs; the value waits for its end, in which it must have worked."""
    deploy = subprocess.Popen([CORTEX, "deploy", str(folder)], env=cortex.environ, stderr=subprocess.PIPE, text=True)

    def deployed() -> None:
        _, words = deploy.communicate(timeout=120)
        assert deploy.returncode == 0, words

    try:
        yield deployed
    finally:
        deploy.kill()
        deploy.communicate()


def test_replicas_leave_a_spot_instance_before_it_goes(cortex: Cortex, text: str) -> None:
    with requests(text) as traffic:
        cortex.ok("local", "chaos", "spot-notice", "text", "--for", "20s")
        assert "of instance group small drains, and its replicas move" in named(cortex, "instances")
        assert set(why(cortex)) & {"instances", "replica"}
        until(lambda: "instances" not in causes(cortex))
        traffic.wait_for("n 7")
    assert set(traffic.answers.kinds) == {"n 7"}, traffic.answers
    all_is_well(cortex)


def test_apis_answer_while_the_local_cloud_is_dead(cortex: Cortex, text: str) -> None:
    # Faults that go on outlive the daemon.
    cortex.ok("local", "chaos", "logs-down", "--for", "1h")
    with requests(text) as traffic:
        assert "was killed" in cortex.ok("local", "chaos", "daemon-kill")
        assert "not running" in cortex.ok("local", "status")
        traffic.wait_for("n 7")
    assert set(traffic.answers.kinds) == {"n 7"}, traffic.answers
    ended = "The local cloud ended unexpectedly, and was started again."
    assert ended in cortex.ok("get", "text")
    assert f"a replica ended: {ended}" in cortex.ok("why", "text").replace(", and another one has taken its place", "")
    assert [fault["kind"] for fault in cortex.json("local", "chaos", "--stop")] == ["logs-down"]
    all_is_well(cortex)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to break: kill-replica, slow-replica"),
        (("earthquake", "text"), "'earthquake' is not one of 'kill-replica'"),
        (("kill-replica",), "kill-replica needs the name of an API"),
        (("kill-replica", "other"), "other is not deployed"),
        (("no-capacity", "other"), "there is no instance group or API other"),
        (("slow-replica", "text", "--for", "soon"), "'soon' is no duration such as 30s"),
        (("slow-replica", "text", "--for", "0s"), "'0s' is no duration such as 30s"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(cortex: Cortex, text: str, arguments: tuple[str, ...], said: str) -> None:
    refused = cortex.run("local", "chaos", *arguments)
    assert refused.returncode in (1, 2)
    assert said in refused.stderr
    assert cortex.json("local", "chaos", "--list") == []


def test_nothing_is_broken_while_the_local_cloud_does_not_run(tmp_path: Path) -> None:
    refused = Cortex(tmp_path).run("local", "chaos", "kill-replica", "text")
    assert refused.stderr.splitlines() == [
        "error: the local cloud is not running",
        "hint: start it with: cortex local up",
    ]
    assert not (tmp_path / "local").exists()
