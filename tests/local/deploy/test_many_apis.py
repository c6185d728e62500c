"""Twenty APIs and more on one machine, and several people (or CI jobs) who deploy at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from cortex_cdk.deploy.listener_rules import priority_for
from tests.conftest import Cortex
from tests.local.deploy.test_end_to_end import post
from tests.local.waiting import until

WriteProject = Callable[..., str]

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        self.name = config["name"]

    def predict(self, payload):
        return {"api": self.name}
"""
ONE_FILE = [f"api-{number:02}" for number in range(20)]
APART = ["anna", "bela", "cora", "dora"]
REPORT = """
from botocore.client import BaseClient
from cortex_cdk import Client

calls, call = [], BaseClient._make_api_call

def counted(client, operation, parameters):
    calls.append(operation)
    return call(client, operation, parameters)

BaseClient._make_api_call = counted
print(len(Client("local").reports()), *calls)
"""


def api(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"name": name}, "access_log": 0},
        "compute": {"cpu": "50m", "mem": "128Mi"},
        "autoscaling": {"max_replicas": 1},
    }


@pytest.fixture
def project(tmp_path: Path) -> WriteProject:
    """Makes a project folder of its own for these APIs (JSON is YAML)."""

    def write(*apis: dict[str, Any]) -> str:
        folder = tmp_path / apis[0]["name"]
        folder.mkdir()
        (folder / "predictor.py").write_text(PREDICTOR)
        (folder / "cortex.yaml").write_text(json.dumps(apis))
        return str(folder)

    return write


def side_by_side(
    run: Callable[[str], subprocess.CompletedProcess[str]], names: Collection[str]
) -> list[subprocess.CompletedProcess[str]]:
    """What came of a command for each name, all run at once."""
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(run, names))


def all_answer(cortex: Cortex, names: Collection[str]) -> bool:
    found = {report["name"]: report for report in cortex.json("get") if report["env"] == "local"}
    return found.keys() == set(names) and all(
        report["status"] == "live" and post(report["endpoint"], {}) == {"api": name} for name, report in found.items()
    )


def reported(cortex: Cortex) -> tuple[int, list[str]]:
    """How many APIs there are, and the calls to AWS that a list of them takes."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT], env=cortex.environ, capture_output=True, text=True, timeout=240, check=True
    )
    count, *calls = done.stdout.split()
    return int(count), calls


def test_deployments_at_the_same_time_do_not_get_in_each_others_way(cortex: Cortex, project: WriteProject) -> None:
    """The first ones of all: the local cloud and its cluster are made by one of them, too."""
    folders = {name: project(api(name)) for name in APART}
    for name, done in zip(APART, side_by_side(lambda name: cortex.run("deploy", folders[name]), APART), strict=True):
        assert done.returncode == 0, done.stderr
        assert f"created {name} (RealtimeAPI)" in done.stdout
    assert all_answer(cortex, APART)


def test_of_two_that_want_the_same_endpoint_at_the_same_time_one_gets_it(cortex: Cortex, project: WriteProject) -> None:
    wanted = {name: project({**api(name), "networking": {"endpoint": "/same"}}) for name in ("left", "right")}
    done = side_by_side(lambda name: cortex.run("deploy", wanted[name]), wanted)
    assert sorted(one.returncode for one in done) == [0, 1], done
    error = next(one.stderr for one in done if one.returncode)
    # Whether the other's stack was finished already when this one looked is chance.
    assert "the endpoint /same is taken by " in error
    winner = next(name for name, one in zip(wanted, done, strict=True) if one.returncode == 0)
    assert all_answer(cortex, [*APART, winner])
    cortex.ok("delete", winner, "--yes")


def test_two_that_choose_the_same_priority_at_the_same_time_both_get_one(cortex: Cortex, project: WriteProject) -> None:
    """One pair of endpoints in 793 begins to look for a free priority at the same number."""
    pair = ["n23", "n30"]
    assert len({priority_for(f"/{name}", None, []) for name in pair}) == 1
    folders = {name: project(api(name)) for name in pair}
    for done in side_by_side(lambda name: cortex.run("deploy", folders[name]), pair):
        assert done.returncode == 0, done.stderr
    assert all_answer(cortex, [*APART, *pair])
    for done in side_by_side(lambda name: cortex.run("delete", name, "--yes"), pair):
        assert done.returncode == 0, done.stderr


def test_twenty_apis_of_one_file(cortex: Cortex, project: WriteProject, capsys: pytest.CaptureFixture[str]) -> None:
    few, calls_for_few = reported(cortex)
    began = time.monotonic()
    printed = cortex.ok("deploy", project(*map(api, ONE_FILE)))
    deployed = time.monotonic()
    assert [f"created {name} (RealtimeAPI)" in printed for name in ONE_FILE] == [True] * len(ONE_FILE)
    assert all_answer(cortex, [*APART, *ONE_FILE])
    table = cortex.ok("get")
    assert all(f" {name} " in table for name in ONE_FILE)
    many, calls_for_many = reported(cortex)
    assert many == few + len(ONE_FILE)
    # One call for ten services, and a page of stacks.
    assert len(calls_for_many) <= len(calls_for_few) + 3, calls_for_many
    with capsys.disabled():
        print(f"\n20 APIs: deployed in {deployed - began:.1f} s")


def test_all_of_them_can_be_deleted_at_the_same_time(cortex: Cortex) -> None:
    names = [*APART, *ONE_FILE]
    for start in range(0, len(names), 4):
        for done in side_by_side(lambda name: cortex.run("delete", name, "--yes"), names[start : start + 4]):
            assert done.returncode == 0, done.stderr
    assert cortex.json("get") == []
    until(lambda: not cortex.replicas())


def described(url: str, endpoint: str) -> None:
    summary, document = (json.loads(urlopen(url + suffix).read()) for suffix in ("", "/openapi.json"))
    assert summary["message"] == f"make a prediction by sending a POST request to {endpoint}"
    assert list(document["paths"]) == [endpoint]


def test_apis_of_one_file_exchange_their_endpoints(cortex: Cortex, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(PREDICTOR)

    def deploy(**endpoints: str) -> None:
        apis = [{**api(name), "networking": {"endpoint": endpoint}} for name, endpoint in endpoints.items()]
        (tmp_path / "cortex.yaml").write_text(json.dumps(apis))
        cortex.ok("deploy", str(tmp_path))
        found = {name: cortex.json("get", name)["endpoint"] for name in endpoints}
        assert {name: urlsplit(url).path for name, url in found.items()} == endpoints
        assert {name: post(url, {}) for name, url in found.items()} == {name: {"api": name} for name in endpoints}

    deploy(one="/first", two="/second")
    replicas = cortex.replicas()
    described(cortex.json("get", "one")["endpoint"], "/first")
    deploy(one="/second", two="/first")
    # The same replicas describe themselves by the endpoint that they have now.
    assert cortex.replicas() == replicas
    described(cortex.json("get", "one")["endpoint"], "/second")
    # What another leaves may be taken, whichever is named first.
    deploy(one="/first", two="/third")
    for name in ("one", "two"):
        cortex.ok("delete", name, "--yes")


def test_many_replicas_are_deleted_without_a_question_by_force_only(cortex: Cortex, project: WriteProject) -> None:
    replicated = {**api("replicated"), "autoscaling": {"min_replicas": 3, "max_replicas": 3}}
    cortex.ok("deploy", project(replicated))
    done = cortex.run("delete", "replicated")
    assert done.returncode == 1
    assert "replicated has 3 replicas: not deleted" in done.stderr
    assert cortex.ok("delete", "replicated", "-f") == "deleted replicated\n"
