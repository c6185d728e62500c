"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")

from predictor import PythonPredictor

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())
(API,) = yaml.safe_load((FOLDER / "cortex.yaml").read_text())


@pytest.fixture(scope="module")
def predictor():
    return PythonPredictor(API["predictor"]["config"])


def test_the_sample_is_a_four(predictor):
    answer = predictor.predict(SAMPLE)
    assert answer["digit"] == 4
    assert 0.5 < answer["probability"] <= 1


def test_an_image_without_a_row_is_refused(predictor):
    with pytest.raises(RuntimeError, match="shape"):
        predictor.predict({"pixels": SAMPLE["pixels"][1:]})
