"""The number of replicas follows the load, and defaults multiply nothing.

An API that nobody asks any more goes back to its minimum: all of its scaling policies have data without traffic.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.conftest import Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""
NAME = "burst"
LOCAL_SPEED = "40"
"""A quarter of an hour takes 23 seconds."""


def wait_for(cortex: Cortex, replicas: int) -> None:
    until(lambda: cortex.json("get", NAME)["replicas"]["requested"] == replicas)


def write(folder: Path, name: str, **autoscaling: Any) -> str:
    """Write a project with one API; return its folder."""
    (folder / "predictor.py").write_text(PREDICTOR)
    api = {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"cpu": "100m"},
        "autoscaling": autoscaling,
    }
    (folder / "cortex.yaml").write_text(json.dumps([api]))
    return str(folder)


def deploy(cortex: Cortex, project: str) -> str:
    """Deploy a project; return everything that was said."""
    done = cortex.run("deploy", project)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_no_traffic_after_a_burst_scales_in(cortex: Cortex, tmp_path: Path) -> None:
    scaling = {"max_replicas": 3, "target_replica_requests_per_second": 1, "downscale_stabilization_period": "60s"}
    cortex.ok("deploy", write(tmp_path, NAME, **scaling))
    with Traffic(cortex.json("get", NAME)["endpoint"], {"n": 1}, str, clients=4, pause=0.1):
        wait_for(cortex, 3)
        assert "at its maximum of 3 replicas" in cortex.ok("get", NAME)
    wait_for(cortex, 1)
    assert "maximum" not in cortex.ok("get", NAME)


def test_one_client_needs_one_replica_however_fast_it_is(cortex: Cortex, tmp_path: Path) -> None:
    said = deploy(cortex, write(tmp_path, "fast"))
    assert "scales from 1 to 10 replicas (the default of max_replicas) while more than 1 request is in flight" in said
    assert "USD" not in said, "nobody pays for this machine"
    with Traffic(cortex.json("get", "fast")["endpoint"], {"n": 1}, str, clients=1, pause=0) as traffic:
        time.sleep(15)  # Ten minutes of the clock, and a report of the replica.
    assert sum(traffic.answers.kinds.values()) > 150 and not traffic.answers.failures, "more than ten a second"
    assert cortex.json("get", "fast")["replicas"]["requested"] == 1
    found = cortex.aws("application-autoscaling").describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    (policy,) = [policy["PolicyName"] for policy in found if policy["ResourceId"].endswith("/fast")]
    assert "RequestsInFlight" in policy


def test_what_a_new_default_changes_is_told_once(cortex: Cortex, tmp_path: Path) -> None:
    before = {"min_replicas": 2, "max_replicas": 100, "target_replica_requests_per_second": 10}
    said = deploy(cortex, write(tmp_path, "older", **before))
    assert (
        "scales from 2 to 100 replicas while more than 1 request is in flight for each, or more than 10 a sec" in said
    )
    assert "warning" not in said

    said = deploy(cortex, write(tmp_path, "older", min_replicas=2))
    assert "older: warning: max_replicas becomes 10, the default, where it was 100: to keep 100, write " in said
    assert "older: warning: requests per second no longer add replicas, and 10 for each replica did" in said

    said = deploy(cortex, write(tmp_path, "older", min_replicas=2))
    assert "older (RealtimeAPI) is up to date" in said
    assert "warning" not in said
    # Later changes are not told either: the defaults are deployed by now, and a maximum follows a higher minimum.
    assert "warning" not in deploy(cortex, write(tmp_path, "older", min_replicas=1))
    assert "warning: max" not in deploy(cortex, write(tmp_path, "older", init_replicas=11))


def test_a_minimum_that_a_killed_deployment_has_left_is_put_back(cortex: Cortex, tmp_path: Path) -> None:
    project = write(tmp_path, "cut", min_replicas=2, max_replicas=3)
    deploy(cortex, project)
    scaling = cortex.aws("application-autoscaling")
    resource = "service/cortex-local/cut"
    scaling.register_scalable_target(
        ServiceNamespace="ecs",
        ScalableDimension="ecs:service:DesiredCount",
        ResourceId=resource,
        MinCapacity=1,
        MaxCapacity=3,
    )
    said = deploy(cortex, project)
    assert "cut (RealtimeAPI) is up to date" in said
    assert "cut: min_replicas 2 applies again: it was 1" in said
    [target] = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 3)
    assert "applies again" not in deploy(cortex, project)
