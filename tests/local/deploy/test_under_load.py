"""Everything that operators do to an API, while 16 clients keep sending for a minute and more."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        {start}

    def predict(self, payload):
        return {{"code": {code}, "echo": payload["n"]}}
"""
CONFIG = """
- name: {name}
  kind: RealtimeAPI
  predictor: {{type: python, path: predictor.py, threads_per_process: 4, access_log: 0}}
  autoscaling:
    min_replicas: {min}
    max_replicas: 4
    target_replica_requests_per_second: {rps}
    downscale_stabilization_period: 60s
"""
SPLITTER = """
- name: shared
  kind: TrafficSplitter
  apis: [{{name: steady, weight: {steady}}}, {{name: second, weight: {second}}}]
"""


SECOND = 22
"""The code of the splitter's second API."""


class Project:
    """A project folder of a small API whose answers tell its code."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        folder.mkdir()
        self.code(1)
        self.configure()

    def code(self, number: int, start: str = "pass") -> None:
        """Write a predictor."""
        (self.folder / "predictor.py").write_text(PREDICTOR.format(code=number, start=start))

    def configure(self, minimum: int = 2, rps: float = 100_000) -> None:
        """Write the configuration."""
        (self.folder / "cortex.yaml").write_text(CONFIG.format(name=self.name, min=minimum, rps=rps))

    def split(self, **weights: int) -> None:
        """Write the configuration of a traffic splitter instead."""
        (self.folder / "cortex.yaml").write_text(SPLITTER.format(**weights))


def kind_of(answer: dict[str, int]) -> str:
    assert answer["echo"] == 7
    return f"code {answer['code']}"


def requested(cortex: Cortex, name: str) -> int:
    return int(cortex.json("get", name)["replicas"]["requested"])


def up_to_date(cortex: Cortex, name: str) -> int:
    return int(cortex.json("get", name)["replicas"]["up_to_date"])


@pytest.fixture(scope="module")
def cortex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """A local cloud whose alarms and cooldowns run 40 times faster: scaling in takes a quarter of an hour in AWS."""
    cortex = Cortex(tmp_path_factory.mktemp("home"))
    cortex.environ["CORTEX_LOCAL_SPEED"] = "40"
    yield cortex
    cortex.ok("local", "down")


@pytest.fixture
def project(tmp_path: Path, cortex: Cortex) -> Project:
    project = Project(tmp_path / "steady", "steady")
    cortex.ok("deploy", str(project.folder))
    return project


@pytest.fixture
def splitter(tmp_path: Path, cortex: Cortex, project: Project) -> Project:
    """The splitter ``shared``, which sends everything to ``steady`` and nothing to ``second`` yet."""
    second = Project(tmp_path / "second", "second")
    second.code(SECOND)
    second.configure(minimum=1)
    cortex.ok("deploy", str(second.folder))
    second.split(steady=100, second=0)
    cortex.ok("deploy", str(second.folder))
    return second


class Steps:
    """What operators do, one step after the other, and how many requests were answered and failed meanwhile."""

    def __init__(self, cortex: Cortex, project: Project, traffic: Traffic) -> None:
        self._cortex = cortex
        self._project = project
        self._traffic = traffic
        self.rows: list[tuple[str, int, int]] = []

    def done(self, title: str) -> None:
        """Note a step, after requests were answered since."""
        self._traffic.wait_for_any()
        answers = sum(self._traffic.answers.kinds.values())
        self.rows.append((title, answers - sum(row[1] for row in self.rows), len(self._traffic.answers.failures)))

    def deploy_code(self) -> None:
        self._project.code(2)
        self._deploy()
        self._traffic.wait_for("code 2")
        self.done("code deploy")

    def configure(self) -> None:
        before = self._cortex.replicas("steady")
        self._project.configure(minimum=3)
        self._deploy()
        until(lambda: up_to_date(self._cortex, "steady") == 3)
        assert before <= self._cortex.replicas("steady"), "a change of configuration restarted a replica"
        self.done("configuration-only deploy")

    def scale_out_and_in(self) -> None:
        self._project.configure(minimum=2, rps=1)
        self._deploy()
        until(lambda: requested(self._cortex, "steady") == 4)
        self.done("scaled out by load")

        self._project.configure(minimum=2)
        self._deploy()
        until(lambda: requested(self._cortex, "steady") == 2, seconds=240)
        self.done("scaled in again")

    def refresh(self) -> None:
        before = self._cortex.replicas("steady")
        self._cortex.ok("refresh", "steady")
        until(lambda: not before & self._cortex.replicas("steady"))
        until(lambda: self._cortex.json("get", "steady")["status"] == "live")
        self.done("refresh")

    def fail_to_deploy(self) -> None:
        self._project.code(3, start="raise ValueError('no weights')")
        done = self._cortex.run("deploy", str(self._project.folder))
        assert done.returncode == 1
        assert "ValueError: no weights" in done.stderr
        self.done("deploy that never becomes healthy")

    def roll_back(self) -> None:
        deployments = self._cortex.json("history", "steady")["deployments"]
        first = deployments[-1]
        assert (first["number"], deployments[0]["outcome"]) == (1, "failed")
        self._cortex.ok("rollback", "steady", "v1")
        self._traffic.wait_for("code 1")
        until(lambda: self._cortex.json("get", "steady")["status"] == "live")
        again = self._cortex.json("history", "steady")["deployments"][0]
        digests = ("revision", "archive", "configuration", "image")
        assert [again[key] for key in digests] == [first[key] for key in digests]
        assert (again["serves"], again["restores"]) == (True, 1)
        self.done("roll-back to the first deployment")

    def shift_weights(self, splitter: Project) -> None:
        before = self._cortex.replicas()
        assert f"code {SECOND}" not in self._traffic.answers.kinds
        for steady in (50, 0, 90):
            splitter.split(steady=steady, second=100 - steady)
            self._cortex.ok("deploy", str(splitter.folder))
            self._traffic.wait_for(f"code {SECOND}")
        self._cortex.ok("rollback", "shared")
        weights = [one["weight"] for one in self._cortex.json("get", "shared")["variants"]]
        assert weights == [0, 100], "what served before what serves"
        self._traffic.wait_for(f"code {SECOND}")
        assert self._cortex.replicas() == before, "a change of weights restarted a replica"
        self.done("weights change, and a roll-back of theirs")

    def kill_a_replica(self) -> None:
        os.killpg(self._cortex.replicas("steady").pop(), signal.SIGKILL)
        until(lambda: up_to_date(self._cortex, "steady") == 2)
        self.done("replica killed")

    def _deploy(self) -> None:
        self._cortex.ok("deploy", str(self._project.folder))


@pytest.mark.timeout(900)
def test_only_requests_in_flight_on_a_killed_replica_fail(
    cortex: Cortex, project: Project, splitter: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the clients ask the API itself, half the splitter in front of it."""
    endpoints = [cortex.json("get", name)["endpoint"] for name in ("steady", "shared")]
    with Traffic(endpoints, {"n": 7}, kind_of, clients=16) as traffic:
        steps = Steps(cortex, project, traffic)
        steps.done("before")
        steps.deploy_code()
        steps.configure()
        steps.scale_out_and_in()
        steps.refresh()
        steps.fail_to_deploy()
        steps.roll_back()
        steps.shift_weights(splitter)
        assert traffic.answers.failures == []

        steps.kill_a_replica()
        steps.done("after")
    with capsys.disabled():
        print()
        for title, answers, failures in steps.rows:
            print(f"{title:36} {answers:7} answers, {failures:3} failed so far")
    in_flight = traffic.answers.failures
    assert len(in_flight) <= 16, traffic.answers
    assert all(failure.startswith("502") for failure in in_flight), "only what the killed replica had"
    assert steps.rows[-1][2] == steps.rows[-2][2], "requests failed that the killed replica cannot have had"
    assert "code 3" not in traffic.answers.kinds
    assert json.loads(cortex.ok("get", "steady", "-o", "json"))["status"] == "live"
