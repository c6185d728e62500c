"""Values of a configuration, written as users write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.config.quantities import parse_cpu, parse_duration, parse_size
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.config.written import as_written, value_as_written
from cortex_cdk.deploy.differences import Setting

API: dict[str, Any] = {
    "name": "iris",
    "kind": "RealtimeAPI",
    "predictor": {
        "type": "python",
        "path": "predictor.py",
        "config": {"mem": 1048576, "share": 1.0},
        "threads_per_process": 8,
        "startup_timeout": "90s",
        "shm_size": "64Mi",
        "server_side_batching": {"max_batch_size": 8, "batch_interval": "50ms"},
    },
    "compute": {"cpu": "500m", "mem": "1500M"},
    "autoscaling": {"downscale_stabilization_period": "1h30m"},
}


def test_each_quantity_is_written_as_it_was() -> None:
    dumped = RealtimeApi.model_validate(API).model_dump(mode="json")
    written = as_written(RealtimeApi, dumped)
    assert written["compute"] == {**dumped["compute"], "cpu": "500m", "mem": "1500M"}
    predictor = written["predictor"]
    assert (predictor["startup_timeout"], predictor["shm_size"]) == ("1m30s", "64Mi")
    assert predictor["server_side_batching"]["batch_interval"] == "50ms"
    assert predictor["config"] == {"mem": 1048576, "share": 1.0}, "what is the user's own stays"
    autoscaling = written["autoscaling"]
    assert (autoscaling["downscale_stabilization_period"], autoscaling["window"]) == ("1h30m", "1m")
    assert RealtimeApi.model_validate(written).model_dump(mode="json") == dumped


def test_fields_of_another_version_stay() -> None:
    assert as_written(RealtimeApi, {"compute": {"tpu": 1048576}, "new": 60.0}) == {
        "compute": {"tpu": 1048576},
        "new": 60.0,
    }


@pytest.mark.parametrize(
    ("field", "before", "after", "text"),
    [
        ("compute.mem", 200 * 2**20, 2**30, "200Mi -> 1Gi"),
        ("compute.mem", None, 10**9, "none -> 1G"),
        ("compute.cpu", 0.1, 2.0, "100m -> 2"),
        ("predictor.startup_timeout", 600.0, 45.5, "10m -> 45.5s"),
        ("autoscaling.max_upscale_factor", 1.5, 2.0, "1.5 -> 2"),
        ("predictor.path", "a.py", "b.py", '"a.py" -> "b.py"'),
        ("predictor.config.a.b", 60.0, True, "60.0 -> true"),
        ("update_strategy.max_surge", "25%", 2, '"25%" -> 2'),
    ],
)
def test_changes_are_told_in_these_words(field: str, before: Any, after: Any, text: str) -> None:
    assert str(Setting(field, before, after)) == f"{field}: {text}"


@given(st.floats(0.02, 1e4), st.floats(0, 1e7), st.integers(1, 2**50))
def test_nothing_is_written_that_is_read_as_another_value(cpu: float, seconds: float, size: int) -> None:
    def written(field: str, value: float) -> Any:
        return value_as_written(RealtimeApi, field.split("."), value)

    assert parse_cpu(written("compute.cpu", cpu)) == cpu
    assert parse_duration(written("autoscaling.window", seconds)) == seconds
    assert parse_size(written("compute.mem", size)) == size
