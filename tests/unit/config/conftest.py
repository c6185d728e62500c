"""A small project to load configurations in."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex_cdk.config import Config, RealtimeApi, load_config
from cortex_cdk.errors import ConfigError

BASE: dict[str, Any] = {
    "name": "iris",
    "kind": "RealtimeAPI",
    "predictor": {"type": "python", "path": "predictor.py"},
}
PREDICTORS = {"python": "PythonPredictor", "tensorflow": "TensorFlowPredictor", "onnx": "ONNXPredictor"}
SOURCE = """
class PythonPredictor:
    def __init__(self, config, python_client=None): ...
    def predict(self, payload): ...
    def load_model(self, model_path): ...

class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config): ...
    def predict(self, payload): ...

class ONNXPredictor:
    def __init__(self, onnx_client, config): ...
    def predict(self, payload): ...
"""

LoadText = Callable[[str], Config]
LoadApi = Callable[[dict[str, Any]], RealtimeApi]
Complaints = Callable[[dict[str, Any]], list[str]]


def with_fields(changes: dict[str, Any]) -> dict[str, Any]:
    """The base API with ``section.field: value`` changes."""
    data = copy.deepcopy(BASE)
    for path, value in changes.items():
        *sections, field = path.split(".")
        target = data
        for section in sections:
            target = target.setdefault(section, {})
        target[field] = value
    return data


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "predictor.py").write_text(SOURCE)
    (tmp_path / "src").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "sample.json").write_text("{}")
    return tmp_path


@pytest.fixture
def load_text(project: Path) -> LoadText:
    """Load the text of a configuration."""

    def load(text: str) -> Config:
        (project / "cortex.yaml").write_text(text, encoding="utf-8")
        return load_config(project / "cortex.yaml")

    return load


@pytest.fixture
def load_api(load_text: LoadText) -> LoadApi:
    """Load the base API with changes."""

    def load(changes: dict[str, Any]) -> RealtimeApi:
        (api,) = load_text(yaml.safe_dump([with_fields(changes)], sort_keys=False)).apis
        return api

    return load


@pytest.fixture
def complaints(load_text: LoadText) -> Complaints:
    """What is wrong with the base API with changes, as ``path: message (hint)``."""

    def load(changes: dict[str, Any]) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(yaml.safe_dump([with_fields(changes)], sort_keys=False))
        assert all(problem.line and problem.column for problem in caught.value.problems)
        return [str(problem).split(": ", 1)[1] for problem in caught.value.problems]

    return load
