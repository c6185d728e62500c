"""A memory limit that cannot be enough is said before anything is created."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.config.conftest import LoadText, with_fields

PYTHON = "class PythonPredictor:\n    def __init__(self, config): ...\n    def predict(self, payload): ...\n"
CASES: list[tuple[str, dict[str, Any], str | None]] = [
    ("", {"compute.mem": "36Mi"}, None),
    ("", {"compute.mem": "30M"}, "the serving program alone take about 35 MiB"),
    ("", {"compute.mem": "50Mi", "predictor.processes_per_replica": 4}, "take about 95 MiB in 4 processes"),
    ("from sklearn.linear_model import Ridge\n", {"compute.mem": "100M"}, "the serving program and sklearn alone"),
    (
        "def late():\n    import tensorflow.keras as keras\n",
        {"compute.mem": "150Mi"},
        "and tensorflow alone take about 205",
    ),
    ("from . import torch\nimport numpy\n", {"compute.mem": "128Mi"}, None),
    ("import torch\n", {}, None),
]


@pytest.mark.parametrize(("source", "fields", "said"), CASES)
def test_memory(load_text: LoadText, project: Any, source: str, fields: dict[str, Any], said: str | None) -> None:
    (project / "predictor.py").write_text(source + PYTHON)
    config = load_text(yaml.safe_dump([with_fields(fields)]))
    messages = [warning.message for warning in config.warnings if warning.path == "iris.compute.mem"]
    assert len(messages) == (said is not None)
    assert all((said or "") in message for message in messages)


@pytest.mark.parametrize(("kind", "memory"), [("onnx", "60Mi"), ("tensorflow", "200Mi")])
def test_the_runtime_of_the_type_counts(load_text: LoadText, kind: str, memory: str) -> None:
    fields = {"predictor.type": kind, "predictor.model_path": "s3://bucket/model", "compute.mem": memory}
    (warning,) = load_text(yaml.safe_dump([with_fields(fields)])).warnings
    assert (warning.path, "is too small" in warning.message) == ("iris.compute.mem", True)
