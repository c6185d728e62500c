"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
import yaml
from predictor import PythonPredictor

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())
(API,) = yaml.safe_load((FOLDER / "cortex.yaml").read_text())


@pytest.fixture(scope="module")
def predictor():
    return PythonPredictor(API["predictor"]["config"])


def test_the_sample_is_spam(predictor):
    assert predictor.predict(SAMPLE) == {"spam": True, "probability": pytest.approx(1, abs=0.01)}


def test_a_good_message_passes(predictor):
    assert not predictor.predict({"text": "See you at lunch"})["spam"]


def test_nothing_is_known_of_an_empty_message(predictor):
    assert predictor.predict({"text": ""}) == {"spam": False, "probability": 0.5}
