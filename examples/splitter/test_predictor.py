"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("sklearn")

from predictor import PythonPredictor

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())
APIS = [entry for entry in yaml.safe_load((FOLDER / "cortex.yaml").read_text()) if entry["kind"] == "RealtimeAPI"]


@pytest.mark.parametrize("api", APIS, ids=lambda api: api["name"])
def test_each_variant_knows_the_sample(api):
    config = api["predictor"]["config"]
    assert PythonPredictor(config).predict(SAMPLE) == {"species": "setosa", "neighbours": config["neighbours"]}
