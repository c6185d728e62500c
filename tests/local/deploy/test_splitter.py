"""Traffic splitters, by the real executable: what each API gets, changed under load, and what is refused."""

from __future__ import annotations

import http.client
import json
import shlex
import subprocess
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cortex
from tests.json_output import read_json
from tests.local.traffic import Traffic
from tests.local.waiting import until

WriteProject = Callable[..., str]

PREDICTOR = """
import time
from pathlib import Path

class PythonPredictor:
    def __init__(self, config):
        self.name = config["name"]
        while "gate" in config and not Path(config["gate"]).exists():
            time.sleep(0.1)

        self.broken = "broken" in config

    def predict(self, payload):
        if self.broken:
            raise KeyError("petal_width")
        return {"api": self.name}
"""
REQUESTS, CLIENTS = 10_000, 4


def api(name: str, **config: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"name": name, **config}, "access_log": 0},
        "compute": {"cpu": "50m", "mem": "200Mi"},
        # The requests of these tests would otherwise scale it out to a hundred.
        "autoscaling": {"max_replicas": 1},
    }


def splitter(called: str = "shared", /, **weights: int) -> dict[str, Any]:
    members = [{"name": name, "weight": weight} for name, weight in weights.items()]
    return {"name": called, "kind": "TrafficSplitter", "apis": members}


@pytest.fixture
def project(tmp_path: Path) -> WriteProject:
    """Writes a project whose ``cortex.yaml`` says that (JSON is YAML)."""

    def write(*resources: dict[str, Any]) -> str:
        (tmp_path / "predictor.py").write_text(PREDICTOR)
        (tmp_path / "cortex.yaml").write_text(json.dumps(resources))
        (tmp_path / "sample.json").write_text("{}")
        return str(tmp_path)

    return write


def count_answers(endpoint: str) -> Counter[str]:
    """Which API answered how many of the requests, by its own words and by the header alike."""
    url, lock = urllib.parse.urlsplit(endpoint), threading.Lock()
    answers: Counter[str] = Counter()

    def send() -> None:
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        for _ in range(REQUESTS // CLIENTS):
            connection.request("POST", url.path, "{}", {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.headers["X-Cortex-Revision"]
            assert body["api"] == answer.headers["X-Cortex-Api"]
            with lock:
                answers[body["api"]] += 1
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.total() == REQUESTS
    return answers


def interval(weight: int, requests: int = REQUESTS) -> range:
    """How many of the requests a member gets in 99.9 % of all runs: exact, at most 0.05 % left out on each side."""
    total, term, so_far = 100**requests, (100 - weight) ** requests, 0
    low: int | None = None
    for number in range(requests + 1):
        so_far += term
        if low is None and 2000 * so_far > total:
            low = number
        if 2000 * (total - so_far) <= total:
            assert low is not None
            return range(low, number + 1)
        term = term * (requests - number) * weight // ((number + 1) * (100 - weight))
    raise AssertionError("a distribution ends")


def assert_shares(endpoint: str, **weights: int) -> None:
    """Each share of the requests is in the interval of its weight.

    Two members depend on each other, so that one test of 90/10 is wrong about a splitter that works once in 1,000
    times, and one of three members at most three times. Who is outside may try once more: this file then fails by
    chance at most once in 100,000 runs (0.001² + 0.003²), and a wrong weight fails both times.
    """
    wanted = {name: interval(weight) for name, weight in weights.items()}
    for _ in range(2):
        answers = count_answers(endpoint)
        if all(answers[name] in numbers for name, numbers in wanted.items()):
            return
    raise AssertionError(f"{answers} are not within {wanted}")


@contextmanager
def many_rules(cortex: Cortex) -> Iterator[None]:
    """So many rules on the listener that those which are made later are not in the first answer of DescribeRules."""
    elbv2 = cortex.aws("elbv2")
    (balancer,) = elbv2.describe_load_balancers()["LoadBalancers"]
    (listener,) = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    made = [
        elbv2.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=number,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/filler-{number}"]}}],
            Actions=[answer],
        )["Rules"][0]["RuleArn"]
        for number in range(1, 52)
    ]
    try:
        yield
    finally:
        for rule in made:
            elbv2.delete_rule(RuleArn=rule)


def test_the_interval_leaves_out_half_a_thousandth_on_each_side() -> None:
    """Against tosses of a coin that can be counted by hand, and the normal distribution for many of them."""
    assert interval(50, requests=10) == range(0, 11), "no head at all: once in 1,024 times"
    assert interval(50, requests=11) == range(1, 11), "once in 2,048 times"
    many = interval(50)
    assert many[0] + many[-1] == REQUESTS
    assert many[-1] - REQUESTS / 2 == pytest.approx(3.29 * 50, abs=1)


def replicas(ecs: Any) -> list[str]:
    return sorted(ecs.list_tasks(cluster="cortex-local")["taskArns"])


def test_members_of_the_same_file_get_their_shares(cortex: Cortex, project: WriteProject) -> None:
    printed = cortex.ok("deploy", project(api("a"), api("b"), splitter(a=90, b=10)))
    assert "created shared (TrafficSplitter)" in printed
    endpoints = [line.split()[-1] for line in printed.splitlines() if line.startswith("endpoint: ")]
    assert [endpoint.rsplit("/")[-1] for endpoint in endpoints] == ["shared", "a", "b"], "clients use the splitter"
    trials = [line.removeprefix("try it:   ") for line in printed.splitlines() if line.startswith("try it: ")]
    for line, api_names in zip(trials, (["a", "b"], ["a"], ["b"]), strict=True):
        answer = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True).stdout
        assert json.loads(answer)["api"] in api_names
    report = cortex.json("get", "shared")
    assert (report["kind"], report["status"]) == ("TrafficSplitter", "live")
    assert [(v["name"], v["weight"], v["status"]) for v in report["variants"]] == [("a", 90, "live"), ("b", 10, "live")]
    assert_shares(report["endpoint"], a=90, b=10)
    assert "a:90 b:10" in cortex.ok("get")


def test_an_api_of_another_file_joins_and_weights_change_without_a_failure(
    cortex: Cortex, project: WriteProject
) -> None:
    cortex.ok("deploy", project(api("c")))
    ecs = cortex.aws("ecs")
    before = replicas(ecs)
    endpoint = cortex.json("get", "shared")["endpoint"]
    with Traffic(endpoint, {}, lambda body: body["api"], clients=16) as traffic:
        for weights in ({"a": 0, "b": 0, "c": 100}, {"a": 100, "b": 0, "c": 0}, {"a": 30, "b": 50, "c": 20}):
            assert "updated shared" in cortex.ok("deploy", project(splitter(**weights)))
            for name, weight in weights.items():
                if weight:
                    traffic.wait_for(name)
    assert traffic.answers.failures == []
    assert replicas(ecs) == before, "weights are no reason to touch an API"
    assert_shares(endpoint, a=30, b=50, c=20)
    assert "shared (TrafficSplitter) is up to date" in cortex.ok("deploy", project(splitter(a=30, b=50, c=20)))


def test_a_splitter_is_asked_while_a_member_is_updated(cortex: Cortex, project: WriteProject, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    cortex.ok("deploy", project(api("c", gate=str(gate))))
    gate.unlink()
    cortex.ok("refresh", "c")
    assert cortex.json("get", "shared")["status"] == "updating"
    answers = {json.loads(cortex.ok("predict", "shared", "-", stdin="{}"))["api"] for _ in range(3)}
    gate.touch()
    assert answers <= {"a", "b", "c"}
    until(lambda: cortex.json("get", "shared")["status"] == "live")


def test_a_member_cannot_be_deleted(cortex: Cortex, project: WriteProject) -> None:
    cortex.ok("delete", "shared", "--yes")
    with many_rules(cortex):
        cortex.ok("deploy", project(splitter(a=30, b=50, c=20)))
        done = cortex.run("delete", "b", "--yes")
    assert done.returncode == 1
    assert "error: b is used by the traffic splitter shared\nhint: " in done.stderr


def test_logs_of_a_splitter_are_those_of_its_members(cortex: Cortex) -> None:
    done = cortex.run("logs", "shared", "--no-follow")
    assert done.returncode == 1
    assert "traffic splitter" in done.stderr
    assert "cortex logs a, cortex logs b, cortex logs c" in done.stderr


def test_members_that_cannot_answer_are_refused(cortex: Cortex, project: WriteProject) -> None:
    done = cortex.run("deploy", project(splitter(a=50, gone=50)))
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: shared: gone is not deployed")
    # Below min_replicas, where the autoscaler would not leave it.
    cortex.aws("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs",
        ScalableDimension="ecs:service:DesiredCount",
        ResourceId="service/cortex-local/c",
        MinCapacity=0,
        MaxCapacity=1,
    )
    cortex.aws("ecs").update_service(cluster="cortex-local", service="c", desiredCount=0)
    until(lambda: cortex.json("get", "c")["replicas"]["up_to_date"] == 0)
    done = cortex.run("deploy", project(splitter(a=40, b=40, c=20)))
    assert done.returncode == 1
    assert "no replica of c is ready" in done.stderr
    cortex.ok("deploy", project(splitter(a=50, b=50, c=0)))
    assert cortex.json("get", "shared")["status"] == "live", "an API without requests does not matter"


def test_the_share_served_is_counted_by_the_replicas(cortex: Cortex) -> None:
    """From the first full minute with these weights on, and without the requests to a member's own endpoint."""
    shared, own = cortex.json("get", "shared")["endpoint"], cortex.json("get", "b")["endpoint"]
    with (
        Traffic(shared, {}, lambda body: body["api"], clients=1),
        Traffic(own, {}, lambda body: body["api"], clients=1),
    ):
        until(lambda: all(v["served"] > 50 for v in cortex.json("get", "shared")["variants"][:2]), seconds=150)
    shares = [variant["share_served"] for variant in cortex.json("get", "shared")["variants"]]
    assert shares[0] + shares[1] == pytest.approx(100, abs=0.1)
    assert 25 < shares[0] < 75, "without the requests to b's own endpoint both get about half"
    assert shares[2] == 0


def test_a_splitter_is_skipped_when_a_member_fails(cortex: Cortex, project: WriteProject) -> None:
    """A member that fails on its own sample goes on serving as it was; splitters without it are deployed."""
    endpoint = cortex.json("get", "b")["endpoint"]
    folder = project(api("b", broken="yes"), splitter("of-b", a=50, b=50), splitter("of-c", a=100, c=0))
    with Traffic(endpoint, {}, lambda body: body["api"], clients=1) as traffic:
        done = cortex.run("deploy", folder, "-o", "json")
    assert traffic.answers.failures == []
    assert done.returncode == 1
    results = {result["name"]: result for result in json.loads(done.stdout)}
    failed = "b: the replica failed: the sample request sample.json failed: KeyError: 'petal_width'"
    assert results["b"]["error"]["message"].startswith(failed)
    assert "predictor.warmup: false" in results["b"]["error"]["message"]
    assert results["b"]["error"]["details"][-2:] == ['    raise KeyError("petal_width")', "KeyError: 'petal_width'"]
    skipped = "of-b: skipped, because the deployment of b failed"
    assert (results["of-b"]["changed"], results["of-b"]["error"]["message"]) == (False, skipped)
    assert (results["of-c"]["changed"], results["of-c"]["error"]) == (True, None)
    assert f"error: {skipped}\n" in done.stderr
    assert [(api["name"], api["status"]) for api in cortex.json("get") if "of-" in api["name"]] == [("of-c", "live")]
    cortex.ok("delete", "of-c", "--yes")


def test_weights_have_a_history_and_come_back(cortex: Cortex, project: WriteProject, tmp_path: Path) -> None:
    """Of the splitter that the tests above have made anew, and deployed twice."""
    before = replicas(cortex.aws("ecs"))
    assert "updated shared (TrafficSplitter) as v3" in cortex.ok("deploy", project(splitter(a=90, b=10)), "-m", "try")
    found = read_json("history", cortex.ok("history", "shared", "-o", "json"))
    assert [(one["number"], one["serves"]) for one in found["deployments"]] == [(3, True), (2, False), (1, False)]
    assert found["deployments"][0]["message"] == "try"
    changes = ["apis.a.weight: 50 -> 90", "apis.b.weight: 50 -> 10", "apis.c.weight: 0 -> none"]
    assert found["deployments"][0]["changes"] == changes
    compared = read_json("diff", cortex.ok("diff", "shared", "-o", "json"))
    assert " - name: a\n-  weight: 50\n+  weight: 90\n" in compared["configuration"]

    assert "rolled shared (TrafficSplitter) back to v2 as v4" in cortex.ok("rollback", "shared")
    weights = [(one["name"], one["weight"]) for one in cortex.json("get", "shared")["variants"]]
    assert weights == [("a", 50), ("b", 50), ("c", 0)]
    assert cortex.ok("rollback", "shared", "v2").startswith("shared (TrafficSplitter) is at v2 already, as v4\n")
    assert replicas(cortex.aws("ecs")) == before, "weights are no reason to touch an API"

    cortex.ok("export", "shared", "v3", str(tmp_path / "files"))
    assert "updated shared (TrafficSplitter) as v5" in cortex.ok("deploy", str(tmp_path / "files"))
    cortex.ok("delete", "c", "--yes")
    refused = cortex.run("rollback", "shared", "v2")
    assert refused.returncode == 1
    assert "error: shared: c is not deployed\n" in refused.stderr
    assert cortex.json("history", "shared")["serving"] == 5


def test_deleting_the_splitter_leaves_its_apis(cortex: Cortex) -> None:
    assert cortex.ok("delete", "shared", "--yes") == "deleted shared\n"
    assert "shared is not deployed" in cortex.run("history", "shared").stderr
    assert cortex.json("get", "a")["status"] == "live"
    assert cortex.ok("delete", "b", "--yes") == "deleted b\n"
