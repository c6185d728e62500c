"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("sklearn")

from predictor import PythonPredictor

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())
(API,) = yaml.safe_load((FOLDER / "cortex.yaml").read_text())


def test_the_sample_is_a_setosa():
    answer = PythonPredictor(API["predictor"]["config"]).predict(SAMPLE)
    assert answer["species"] == "setosa"
    assert 0.5 < answer["probability"] <= 1
