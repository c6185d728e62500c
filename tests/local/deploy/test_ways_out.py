"""Every state in which a deployment is stuck has a way out: the table in docs/updates.md, row by row."""

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
from tests.local.waiting import until

SMALL = {"name": "small", "instance_types": ["t3.small"], "min_instances": 1, "max_instances": 1}
"""2048 CPU units: room for one replica of 1500m, or for two of 900m."""
ENDLESS = "while True: time.sleep(1)"
SOON = 60.0
"""Seconds within which ``--force`` and ``delete`` end any state in the local cloud."""


@pytest.fixture(scope="module", autouse=True)
def small_cluster(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> None:
    cortex.environ["CORTEX_LOCAL_SPEED"] = "20"
    file = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    file.write_text(yaml.safe_dump({"instance_groups": [SMALL]}))
    cortex.ok("cluster", "up", str(file), "--yes")


class Apis:
    """APIs of one project that are stuck together: one for each way out."""

    def __init__(self, cortex: Cortex, folder: Path, names: tuple[str, ...]) -> None:
        self.cortex, self.folder, self.names = cortex, folder, names

    def write(self, start: str = "pass", *, least: int = 1, most: int = 20, only: str = "", **settings: Any) -> None:
        """Write the project: what ``__init__`` does, and how many replicas there are."""
        code = f"import os, time\nclass PythonPredictor:\n    def __init__(self, config):\n        {start}\n"
        (self.folder / "predictor.py").write_text(f"{code}    def predict(self):\n        return {start!r}\n")
        api = {
            "kind": "RealtimeAPI",
            "predictor": {"type": "python", "path": "predictor.py"},
            "compute": {"cpu": "50m", "mem": "200Mi"},
            "autoscaling": {"min_replicas": least, "max_replicas": most},
            "update_strategy": {"max_surge": 0, "max_unavailable": 1},
        }
        chosen = [only] if only else self.names
        (self.folder / "cortex.yaml").write_text(yaml.safe_dump([{"name": name, **api, **settings} for name in chosen]))

    def deploy(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.cortex.run("deploy", "--yes", *options, cwd=self.folder)

    def abandon(self, reached: Callable[[str], bool]) -> None:
        """Deploy, and press Ctrl-C once every API has got there."""
        command = [str(CORTEX), "deploy", "--yes", str(self.folder)]
        with (self.folder / "said").open("w") as sink:
            deploy = subprocess.Popen(command, env=self.cortex.environ, stdout=sink, stderr=sink)
        try:
            until(lambda: all(map(reached, self.names)))
            deploy.send_signal(signal.SIGINT)
            assert deploy.wait(30) == 130, (self.folder / "said").read_text()
        finally:
            deploy.kill()

    def status(self, name: str) -> str:
        api = self.cortex.aws("cloudformation")
        return next(
            (s["StackStatus"] for s in api.describe_stacks()["Stacks"] if s["StackName"].endswith(f"-{name}")), ""
        )

    def service(self, name: str) -> dict[str, Any]:
        found = self.cortex.aws("ecs").describe_services(cluster="cortex-local", services=[name])["services"]
        return found[0] if found and found[0]["status"] == "ACTIVE" else {}

    def replacing(self, name: str) -> bool:
        """Whether an update of the service has begun."""
        deployments = self.service(name).get("deployments", [])
        return self.status(name) == "UPDATE_IN_PROGRESS" and deployments[0]["rolloutState"] == "IN_PROGRESS"


def first_deployment_without_room(apis: Apis) -> None:
    apis.write(compute={"cpu": "1500m", "mem": "200Mi"}, least=12)
    apis.abandon(lambda name: apis.service(name).get("pendingCount", 0) > 0)


def first_deployment_never_ready(apis: Apis) -> None:
    apis.write(ENDLESS)
    apis.abandon(lambda name: apis.service(name).get("runningCount", 0) > 0)


def scaled_beyond_the_room(apis: Apis) -> None:
    big = {"cpu": "900m", "mem": "200Mi"}
    apis.write(compute=big)
    assert apis.deploy().returncode == 0
    apis.write(compute=big, least=12)
    apis.abandon(lambda name: apis.service(name)["desiredCount"] == 12 and apis.status(name) == "UPDATE_COMPLETE")


def update_without_room(apis: Apis) -> None:
    scaled_beyond_the_room(apis)
    apis.write("time.sleep(0)", compute={"cpu": "900m", "mem": "200Mi"}, least=12)
    apis.abandon(apis.replacing)


def update_never_ready(apis: Apis) -> None:
    apis.write()
    assert apis.deploy().returncode == 0
    apis.write(ENDLESS)
    apis.abandon(apis.replacing)


def rollback_without_room(apis: Apis) -> None:
    """As whoever cancels the update in the console of CloudFormation."""
    update_without_room(apis)
    for name in apis.names:
        apis.cortex.aws("cloudformation").cancel_update_stack(StackName=f"cortex-local-api-{name}")
    until(lambda: all(apis.status(name) == "UPDATE_ROLLBACK_IN_PROGRESS" for name in apis.names))


def rollback_to_what_fails_now(apis: Apis) -> None:
    """The only replica was replaced in place, and the revision before does not start any more."""
    here = apis.folder / "weights"
    here.touch()
    apis.write(f"open({str(here)!r})")
    assert apis.deploy().returncode == 0
    here.unlink()
    apis.write("raise OSError('new')")
    failed = apis.deploy()
    assert failed.returncode == 1
    assert "OSError: new" in failed.stderr
    assert {apis.status(name) for name in apis.names} == {"UPDATE_ROLLBACK_FAILED"}


REFUSED = "another operation is changing it ("
STATES: list[tuple[Callable[[Apis], None], bool]] = [
    (first_deployment_without_room, False),
    (first_deployment_never_ready, False),
    (scaled_beyond_the_room, True),
    (update_without_room, False),
    (update_never_ready, False),
    (rollback_without_room, False),
    (rollback_to_what_fails_now, True),
]
"""How an API gets stuck, and whether ``cortex deploy`` of new code that asks for fewer replicas is let through."""


@pytest.mark.parametrize(("get_stuck", "deployable"), STATES, ids=[state.__name__ for state, _ in STATES])
def test_a_stuck_deployment_has_every_way_out(
    cortex: Cortex, tmp_path: Path, get_stuck: Callable[[Apis], None], deployable: bool
) -> None:
    apis = Apis(cortex, tmp_path, ("kept", "dropped"))
    get_stuck(apis)

    began = time.monotonic()
    cortex.ok("delete", "dropped", "--yes")
    assert time.monotonic() - began < SOON
    assert apis.status("dropped") == ""

    apis.write("time.sleep(0.1)", least=1, most=2, only="kept")
    plain = apis.deploy()
    assert plain.returncode == (0 if deployable else 1), plain.stderr
    if not deployable:
        assert REFUSED in plain.stderr
        began = time.monotonic()
        forced = apis.deploy("--force")
        assert forced.returncode == 0, forced.stderr
        assert time.monotonic() - began < SOON
    api = cortex.json("get", "kept")
    assert (api["status"], api["replicas"]["requested"] <= 2) == ("live", True)
    assert cortex.ok("predict", "kept", "-", stdin="").strip() == "time.sleep(0.1)"
    bounds = cortex.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert [(one["MinCapacity"], one["MaxCapacity"]) for one in bounds] == [(1, 2)]
    cortex.ok("delete", "kept", "--yes")


def test_a_rollback_needs_no_files_and_gives_a_stuck_update_up(cortex: Cortex, tmp_path: Path) -> None:
    apis = Apis(cortex, tmp_path, ("stuck",))
    update_never_ready(apis)
    (tmp_path / "predictor.py").unlink()
    before = cortex.json("history", "stuck")["deployments"]
    assert [one["outcome"] for one in before] == ["in_progress", "deployed"]

    began = time.monotonic()
    done = cortex.json("rollback", "stuck")
    assert time.monotonic() - began < SOON
    assert (done["error"], done["changed"], done["revision"]) == (None, True, before[1]["revision"])
    after = cortex.json("history", "stuck")["deployments"]
    assert [(one["outcome"], one["serves"]) for one in after] == [("interrupted", False), ("deployed", True)]
    assert cortex.json("get", "stuck")["status"] == "live"
    cortex.ok("delete", "stuck", "--yes")
