"""``cortex get``, by the real executable: what was measured, what went wrong, watching."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk import Client
from cortex_cdk.errors import NotDeployedError
from tests.conftest import CORTEX, Cortex
from tests.local.waiting import until

Deploy = Callable[..., subprocess.CompletedProcess[str]]

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        if config.get("broken"):
            raise ValueError("no such model")

    def predict(self, payload):
        if payload.get("hungry"):
            self.eaten = b"x" * (400 * 2**20)
        return {"label": payload["label"]}
"""


@pytest.fixture(scope="module")
def deploy(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Deploys APIs; returns what the command did."""
    project = tmp_path_factory.mktemp("project")
    (project / "predictor.py").write_text(PREDICTOR)

    def run(**kinds: str) -> subprocess.CompletedProcess[str]:
        apis = [
            {
                "name": name,
                "kind": "RealtimeAPI",
                "predictor": {"type": "python", "path": "predictor.py"},
                "monitoring": {"model_type": kind, "key": "label"},
                "compute": {"mem": "200Mi"},
            }
            for name, kind in kinds.items()
        ]
        (project / "cortex.yaml").write_text(json.dumps(apis))
        return cortex.run("deploy", str(project))

    return run


@pytest.fixture(scope="module")
def deployed(deploy: Deploy) -> None:
    done = deploy(flowers="classification", prices="regression")
    assert done.returncode == 0, done.stderr
    # Its project has no sample.
    tried = ["try it:   cortex predict flowers FILE", "takes:    cortex predict flowers --schema"]
    assert done.stdout.splitlines()[-2:] == tried


def predict(cortex: Cortex, name: str, label: str | float) -> None:
    done = cortex.run("predict", name, "-", stdin=json.dumps({"label": label}))
    assert done.returncode == 0, done.stderr


def test_requests_and_predictions_are_counted(cortex: Cortex, deployed: None) -> None:
    for label in ("setosa", "virginica", "setosa"):
        predict(cortex, "flowers", label)
    for price in (1.5, -2.5):
        predict(cortex, "prices", price)
    assert cortex.run("predict", "prices", "-", stdin="{}").returncode == 1
    until(lambda: cortex.json("get", "flowers")["monitoring"] == {"classes": {"setosa": 2, "virginica": 1}}, seconds=90)
    until(lambda: cortex.json("get", "prices")["monitoring"] == {"min": -2.5, "max": 1.5, "avg": -0.5}, seconds=90)
    until(lambda: cortex.json("get", "prices")["metrics"]["5xx"] == 1, seconds=90)
    metrics = cortex.json("get", "flowers")["metrics"]
    assert (metrics["2xx"], metrics["4xx"], metrics["5xx"]) == (3, 0, 0)
    # Envoy counts whole milliseconds, and these predictors answer within one.
    assert 0 <= metrics["average_latency_ms"] <= metrics["p99_latency_ms"] * 1.05
    assert {api["name"]: api["metrics"]["2xx"] for api in cortex.json("get")} == {"flowers": 3, "prices": 2}


def test_tables_for_people(cortex: Cortex, deployed: None) -> None:
    until(lambda: "requests until" in cortex.ok("get"), seconds=90)
    header, *rows, counted = cortex.ok("get").splitlines()
    assert re.fullmatch(r"requests until \d\d:\d\d \w+", counted)
    assert header.split("   ")[0].strip() == "env"
    assert [row.split()[:3] for row in rows] == [["local", "flowers", "live"], ["local", "prices", "live"]]
    shown = cortex.ok("get", "flowers")
    assert "setosa" in shown
    assert f"endpoint: {cortex.json('get', 'flowers')['endpoint']}" in shown
    assert "console.aws" not in shown, "what runs on this machine is in no console"


def test_replicas_one_by_one(cortex: Cortex, deployed: None) -> None:
    """After requests were counted: a replica tells what it uses after ten seconds."""
    until(lambda: cortex.json("get", "prices")["usage"], seconds=60)
    report = cortex.json("get", "prices", "-v")
    (replica,) = report["running_replicas"]
    assert (replica["state"], replica["health"], replica["revision"]) == ("running", "healthy", report["revision"])
    assert replica["memory_limit_bytes"] == 200 * 2**20
    if sys.platform == "linux":
        assert 2**20 < replica["memory_bytes"] < 200 * 2**20
        assert report["usage"]["cpu"]["max"] >= 0
    assert replica["last_error"]["message"] == "KeyError: 'label'"
    assert report["configuration"]["compute"]["mem"] == 200 * 2**20
    shown = cortex.ok("get", "prices", "-v")
    assert f"last error of {replica['id'][:8]}" in shown
    assert "of 200 MiB" in shown or sys.platform != "linux"
    until(lambda: "requests until" in cortex.ok("get", "prices"), seconds=90)


def test_measurements_over_time(cortex: Cortex, deployed: None, tmp_path: Path) -> None:
    found = cortex.json("metrics", "prices")
    (prices,) = found["apis"]
    series = prices["series"]
    assert (sum(filter(None, series["requests"])), sum(filter(None, series["5xx"]))) == (3, 1)
    assert 1 in series["replicas"]
    assert 0 in series["in_flight"]
    assert found["counted_until"]
    # It is asked for the time before the API was made, too, which has no values at all.
    assert len(found["times"]) < 180
    shown = cortex.ok("metrics", "prices", "--since", "30m")
    assert shown.startswith("prices, ")
    assert "3 in all" in shown
    assert max(map(len, shown.splitlines())) <= 80
    cortex.ok("metrics", "prices", "--save", str(tmp_path / "prices.csv"))
    header, *rows = (tmp_path / "prices.csv").read_text().splitlines()
    assert header.startswith("time,api,requests,4xx,5xx,")
    assert len(rows) >= len(found["times"])
    done = cortex.run("metrics", "prices", "--save", str(tmp_path / "prices.xlsx"))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "hint: end it with .png, .csv, .json")
    done = cortex.run("metrics", "prices", "--period", "90s")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: a period of 1m30s is not of whole minutes")
    both = cortex.json("metrics", "prices", "--save", str(tmp_path / "prices.json"))
    assert both["apis"][0]["name"] == json.loads((tmp_path / "prices.json").read_text())["apis"][0]["name"] == "prices"
    done = cortex.run("metrics", "prices", "--since", "2020-01-01", "--until", "2020-01-02")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "error: nothing was measured of prices until 2020-01-02 00:00",
    )
    done = cortex.run("metrics", "gone")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: gone is not deployed")


def test_another_environment_that_does_not_answer(cortex: Cortex, deployed: None) -> None:
    """Each of them answers for itself."""
    cortex.ok("env", "configure", "elsewhere", "--endpoint-url", "http://127.0.0.1:9", "--region", "us-east-1")
    keys = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}
    done = cortex.run("get", environ=keys)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 4)
    assert done.stderr == (
        "note: environment 'elsewhere' has no AWS credentials; the APIs there are left out "
        "(cortex get -e elsewhere says more)\n"
    )
    done = cortex.run("get", "-e", "elsewhere", environ=keys)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "error: environment 'elsewhere' has no AWS credentials",
    )
    cortex.ok("env", "delete", "elsewhere")


@pytest.mark.parametrize("command", ["get", "why", "logs", "history", "metrics", "diff", "rollback", "refresh"])
def test_a_mistyped_name_is_suggested(cortex: Cortex, deployed: None, command: str) -> None:
    done = cortex.run(command, "flower")
    assert (done.returncode, done.stderr) == (
        1,
        "error: flower is not deployed\nhint: did you mean flowers? list what is deployed with: cortex get\n",
    )


def test_no_name_is_not_the_name_of_all(cortex: Cortex, deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cortex.environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotDeployedError):
        Client("local").delete("")
    assert "ready" in cortex.ok("logs", "flowers", "--no-follow")
    assert "ready" in cortex.ok("logs", "prices", "--no-follow")


def test_an_api_that_is_not_deployed(cortex: Cortex, deployed: None) -> None:
    done = cortex.run("get", "gone")
    assert (done.returncode, done.stderr) == (
        1,
        "error: gone is not deployed\nhint: list what is deployed with: cortex get\n",
    )


def test_a_replica_that_died_after_it_was_ready(cortex: Cortex, deployed: None) -> None:
    assert cortex.json("get", "prices")["stopped_replicas"] == []
    assert "stopped replica" not in cortex.ok("get", "prices")
    # Whether it answers before it is killed is chance.
    cortex.run("predict", "prices", "-", stdin='{"label": 1, "hungry": true}')

    def died() -> list[dict[str, Any]]:
        return list(cortex.json("get", "prices")["stopped_replicas"])

    until(died, seconds=60)
    (replica,) = died()
    assert replica["exit_code"] == 137
    assert replica["reason"] == "OutOfMemoryError: Container killed due to memory usage (exit code 137)"
    until(lambda: cortex.json("get", "prices")["replicas"]["up_to_date"] == 1, seconds=60)
    shown = cortex.ok("get", "prices")
    assert replica["id"][:8] in shown, "it is told although another one serves again"
    assert replica["reason"] in shown
    # What is stopped because it is replaced, or not needed, did not die.
    assert cortex.run("refresh", "prices").returncode == 0
    assert died() == [replica]


def test_watching_ends_when_interrupted(cortex: Cortex, deployed: None) -> None:
    watch = subprocess.Popen(
        [CORTEX, "get", "flowers", "--watch", "-o", "json"], env=cortex.environ, stdout=subprocess.PIPE, text=True
    )
    assert watch.stdout
    decoder, text = json.JSONDecoder(), ""
    for _ in range(2):
        while True:
            text += watch.stdout.readline()
            try:
                document, end = decoder.raw_decode(text)
                break
            except ValueError:
                continue
        text = text[end:].lstrip()
        assert document["status"] == "live"
    watch.send_signal(signal.SIGINT)
    assert watch.wait(15) == 130
    watch.stdout.close()


SLOW = """
import pathlib, time

class PythonPredictor:
    def __init__(self, config):
        while not pathlib.Path(config["open"]).exists():
            time.sleep(0.1)

    def predict(self, payload):
        return payload
"""


def test_a_replica_that_loads_its_model_again_is_not_counted(cortex: Cortex, tmp_path: Path) -> None:
    gate, project = tmp_path / "gate", tmp_path / "project"
    project.mkdir()
    gate.touch()
    (project / "predictor.py").write_text(SLOW)
    slow = {"type": "python", "path": "predictor.py", "config": {"open": str(gate)}}
    (project / "cortex.yaml").write_text(json.dumps([{"name": "slow", "kind": "RealtimeAPI", "predictor": slow}]))
    cortex.ok("deploy", str(project))
    assert cortex.json("get", "slow")["replicas"]["up_to_date"] == 1
    gate.unlink()
    cortex.ok("local", "down")
    up = cortex.json("local", "up")
    assert {api["name"]: api["status"] for api in up["apis"]}["slow"] == "updating"
    # It runs, as far as ECS can tell.
    ecs = cortex.aws("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (service,) = ecs.describe_services(cluster=cluster, services=["slow"])["services"]
    assert (service["runningCount"], service["deployments"][0]["rolloutState"]) == (1, "COMPLETED")
    assert cortex.json("get", "slow")["replicas"]["up_to_date"] == 0
    gate.touch()
    until(lambda: cortex.json("get", "slow")["status"] == "live")
    assert cortex.json("get", "slow")["replicas"]["up_to_date"] == 1

    gate.unlink()
    wanted = {"name": "slow", "kind": "RealtimeAPI", "predictor": slow, "autoscaling": {"min_replicas": 2}}
    (project / "cortex.yaml").write_text(json.dumps([wanted]))
    deploy = subprocess.Popen([CORTEX, "deploy", str(project)], env=cortex.environ, stderr=subprocess.PIPE, text=True)
    assert deploy.stderr
    assert "slow: 1 of 2 replicas serve" in map(str.strip, deploy.stderr), "it waits for those that were added"
    gate.touch()
    _, rest = deploy.communicate(timeout=60)
    assert deploy.returncode == 0, rest
    assert cortex.json("get", "slow")["replicas"]["up_to_date"] == 2


def test_a_deleted_api_leaves_nothing_to_a_new_one_of_its_name(cortex: Cortex, deploy: Deploy, deployed: None) -> None:
    """Its predictions are metrics of the same name, its stopped replicas are tasks of the same family."""
    before = cortex.json("get", "prices")
    assert before["monitoring"]
    assert before["stopped_replicas"]
    cortex.ok("delete", "prices", "--yes")
    done = deploy(prices="classification")
    assert done.returncode == 0, done.stderr
    report = cortex.json("get", "prices")
    assert (report["monitoring"], report["stopped_replicas"]) == (None, [])
    assert report["metrics"]["2xx"] == 0
    predict(cortex, "prices", "cheap")
    until(lambda: cortex.json("get", "prices")["monitoring"] == {"classes": {"cheap": 1}}, seconds=90)
