"""An API that nobody asks any more goes back to its minimum: both of its scaling policies have data without traffic."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cortex
from tests.local.traffic import Traffic

PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""
NAME = "burst"


@pytest.fixture(scope="module")
def cortex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """A local cloud in which a quarter of an hour takes 23 seconds."""
    cortex = Cortex(tmp_path_factory.mktemp("home"))
    cortex.environ["CORTEX_LOCAL_SPEED"] = "40"
    yield cortex
    cortex.ok("local", "down")


def wait_for(cortex: Cortex, replicas: int) -> None:
    deadline = time.monotonic() + 180
    while cortex.json("get", NAME)["replicas"]["requested"] != replicas:
        assert time.monotonic() < deadline, cortex.ok("get", NAME)
        time.sleep(0.5)


def test_no_traffic_after_a_burst_scales_in(cortex: Cortex, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    api = {
        "name": NAME,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"cpu": "100m"},
        "autoscaling": {
            "max_replicas": 3,
            "target_replica_requests_per_second": 1,
            "downscale_stabilization_period": "60s",
        },
    }
    (tmp_path / "cortex.yaml").write_text(json.dumps([api]))
    cortex.ok("deploy", cwd=tmp_path)
    with Traffic(cortex.json("get", NAME)["endpoint"], {"n": 1}, str, clients=4, pause=0.1):
        wait_for(cortex, 3)
    wait_for(cortex, 1)
