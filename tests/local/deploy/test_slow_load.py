"""A model that takes minutes to load is no reason for an alarm."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CORTEX, Cortex

PREDICTOR = """\
import time


class PythonPredictor:
    def __init__(self, config):
        time.sleep(13)

    def predict(self, payload):
        return payload
"""
ALARM = "cortex/local/slow/unhealthy"


@pytest.fixture(scope="module")
def cortex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """A local cloud in which 13 seconds are nearly nine minutes."""
    cortex = Cortex(tmp_path_factory.mktemp("home"))
    cortex.environ["CORTEX_LOCAL_SPEED"] = "40"
    yield cortex
    cortex.ok("local", "down")


def test_loading_for_minutes_sets_no_alarm_off(cortex: Cortex, tmp_path: Path) -> None:
    cortex.ok("cluster", "up", "--yes")
    (tmp_path / "predictor.py").write_text(PREDICTOR)
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
