"""The configuration of a record, written as a file again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER

from cortex_cdk.config import RealtimeApi, TrafficSplitter, load_config
from cortex_cdk.history.parts import as_file

API = {"name": "iris", "kind": REALTIME_API, "predictor": {"type": "python", "path": "predictor.py"}}
SPLITTER = {"name": "ab", "kind": TRAFFIC_SPLITTER, "apis": [{"name": "a", "weight": 60}, {"name": "b", "weight": 40}]}


@pytest.mark.parametrize(("model", "written"), [(RealtimeApi, API), (TrafficSplitter, SPLITTER)])
def test_a_file_that_is_made_again_says_the_same_without_a_warning(model: Any, written: Any, tmp_path: Path) -> None:
    resource = model.model_validate(written)
    (tmp_path / "predictor.py").write_text(
        "class PythonPredictor:\n    def __init__(self, config): pass\n    def predict(self, payload): pass\n"
    )
    (tmp_path / "cortex.yaml").write_text(as_file(resource.model_dump(mode="json")))
    config = load_config(tmp_path)
    assert [*config.apis, *config.splitters] == [resource]
    assert config.warnings == ()
