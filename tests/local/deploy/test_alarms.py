"""Alarms of an API: what sets them off, and what they do."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from tests.conftest import CORTEX, Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

SLOW = """\
import time


class PythonPredictor:
    def __init__(self, config):
        time.sleep(26)

    def predict(self, payload):
        return payload
"""
TURNS_BAD = """\
from pathlib import Path


class PythonPredictor:
    def __init__(self, config):
        self.bad = Path(config["bad"])

    def predict(self, payload):
        if self.bad.exists():
            raise RuntimeError("bad by now")
        return {{"code": {code}}}
"""
ALARM = "cortex/local/slow/unhealthy"
LOCAL_SPEED = "20"
"""26 seconds are nearly nine minutes."""


def test_loading_for_minutes_sets_no_alarm_off(cortex: Cortex, tmp_path: Path) -> None:
    cortex.ok("cluster", "up", "--yes")
    (tmp_path / "predictor.py").write_text(SLOW)
    api = {"name": "slow", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (tmp_path / "cortex.yaml").write_text(json.dumps([api]))
    cloudwatch, states = cortex.aws("cloudwatch"), set()
    with subprocess.Popen(
        [CORTEX, "deploy"], cwd=tmp_path, env=cortex.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as deploy:
        while deploy.poll() is None:
            states |= {alarm["StateValue"] for alarm in cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]}
            time.sleep(0.2)
    assert deploy.returncode == 0
    assert "OK" in states
    assert "ALARM" not in states


def test_a_revision_that_begins_to_fail_after_its_rollout_is_rolled_back(cortex: Cortex, tmp_path: Path) -> None:
    bad = {1: tmp_path / "never", 2: tmp_path / "bad"}

    def deploy(code: int) -> dict[str, Any]:
        (tmp_path / "predictor.py").write_text(TURNS_BAD.format(code=code))
        predictor = {"type": "python", "path": "predictor.py", "config": {"bad": str(bad[code])}}
        api = {"name": "turning", "kind": "RealtimeAPI", "predictor": predictor}
        (tmp_path / "cortex.yaml").write_text(json.dumps([api]))
        (result,) = json.loads(cortex.ok("deploy", "-o", "json", cwd=tmp_path))
        return dict(result)

    def ask() -> Any:
        answer = requests.post(endpoint, json={"n": 1}, timeout=30)
        return answer.json()["code"] if answer.ok else answer.status_code

    def settled() -> Any:
        status = cortex.json("get", "turning")
        return status if status["status"] == "live" and status["reason"] else None

    first = deploy(1)["revision"]
    endpoint = cortex.json("get", "turning")["endpoint"]
    # The alarm wants some requests a minute, which is short here. So are the minutes that ECS goes on watching.
    with Traffic(endpoint, {"n": 1}, str, clients=2):
        second = deploy(2)["revision"]
        assert ask() == 2
        bad[2].touch()
        until(lambda: ask() == 1)
    status = until(settled)
    assert status["revision"] == first
    assert status["reason"] == (
        "the last update failed (its answers were server errors, and an alarm went off) and was undone; "
        "the revision before it is deployed"
    )
    events = cortex.aws("cloudformation").describe_stack_events(StackName="cortex-local-api-turning")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("alarm detected (cortex/local/turning/errors)" in reason for reason in reasons)
    undone, kept = cortex.json("history", "turning")["deployments"]
    assert (undone["outcome"], kept["serves"]) == ("failed", True)
    assert "alarm detected" in undone["reason"]
    refused = cortex.run("rollback", "turning", "--yes")
    assert (refused.returncode, "nothing else was deployed before v1" in refused.stderr) == (1, True), refused.stderr

    bad[2].unlink()
    again = deploy(2)
    assert (again["changed"], again["revision"], ask()) == (True, second, 2)
    assert cortex.json("get", "turning")["reason"] is None
    outcomes = [one["outcome"] for one in cortex.json("history", "turning")["deployments"]]
    assert outcomes == ["deployed", "failed", "deployed"]
