"""An update that fails leaves what serves as it is, whatever the autoscaler did since the API was made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import CORTEX, Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config):
        {start}

    def predict(self, payload):
        return {{"code": 1}}
"""
NAME = "many"
ALONE = "alone"
"""Of one replica: failing again and again takes it less time."""


def write(folder: Path, start: str, name: str = NAME) -> None:
    (folder / "predictor.py").write_text(PREDICTOR.format(start=start))
    api = {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"cpu": "100m"},
        "autoscaling": {"min_replicas": 1, "init_replicas": 2 if name == NAME else 1, "max_replicas": 5},
        "update_strategy": {"max_unavailable": 0},
    }
    (folder / "cortex.yaml").write_text(yaml.safe_dump([api]))


def desired(cortex: Cortex) -> int:
    (service,) = cortex.aws("ecs").describe_services(cluster="cortex-local", services=[NAME])["services"]
    return int(service["desiredCount"])


def test_the_first_update_that_fails_takes_no_replica_away(cortex: Cortex, tmp_path: Path) -> None:
    write(tmp_path, "pass")
    cortex.ok("deploy", cwd=tmp_path)
    assert desired(cortex) == 2
    # As the autoscaler does it.
    cortex.aws("ecs").update_service(cluster="cortex-local", service=NAME, desiredCount=5)
    until(lambda: cortex.json("get", NAME)["replicas"]["up_to_date"] == 5)
    before = cortex.replicas(NAME)
    assert len(before) == 5

    with Traffic([cortex.json("get", NAME)["endpoint"]], {"n": 1}, lambda answer: f"code {answer['code']}") as traffic:
        traffic.wait_for("code 1")
        write(tmp_path, 'raise RuntimeError("no")')
        done = cortex.run("deploy", cwd=tmp_path)
        traffic.wait_for_any()
    assert done.returncode == 1
    assert "RuntimeError: no" in done.stderr
    assert traffic.answers.failures == []
    assert desired(cortex) == 5
    assert cortex.replicas(NAME) == before


def test_failures_that_nobody_waited_for_have_their_reason_in_the_history(cortex: Cortex, tmp_path: Path) -> None:
    def newest() -> dict[str, Any]:
        found: dict[str, Any] = cortex.json("history", ALONE)["deployments"][0]
        return found

    write(tmp_path, "pass", ALONE)
    cortex.ok("deploy", cwd=tmp_path)
    write(tmp_path, 'raise RuntimeError("nobody waits")', ALONE)
    cortex.ok("deploy", "--no-wait", cwd=tmp_path)
    until(lambda: newest()["outcome"] == "failed")
    assert newest()["reason"] == "the replica failed: RuntimeError: nobody waits"

    # Slowly, so that the look at the history comes in time.
    write(tmp_path, 'import time; time.sleep(8); raise RuntimeError("whoever waited was killed")', ALONE)
    deployer = subprocess.Popen([CORTEX, "deploy"], cwd=tmp_path, env=cortex.environ, stderr=subprocess.DEVNULL)
    until(lambda: newest()["outcome"] == "in_progress")
    deployer.kill()
    deployer.wait()
    until(lambda: newest()["outcome"] == "failed")
    assert newest()["reason"] == "the replica failed: RuntimeError: whoever waited was killed"

    # The next deployment writes down how the one before ended.
    write(tmp_path, "print()", ALONE)
    cortex.ok("deploy", cwd=tmp_path)
    recorded = cortex.json("history", ALONE)["deployments"]
    assert [one["outcome"] for one in recorded[:3]] == ["deployed", "failed", "failed"]
    assert recorded[1]["reason"] == "the replica failed: RuntimeError: whoever waited was killed"
