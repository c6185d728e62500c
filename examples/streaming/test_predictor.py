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


def test_the_words_of_the_sample(predictor):
    words = list(predictor.predict(SAMPLE).content)
    assert len(words) == 12
    assert words[0] == "Alice"


def test_a_seed_gives_the_same_text(predictor):
    assert list(predictor.predict(SAMPLE).content) == list(predictor.predict(SAMPLE).content)


def test_no_text_is_longer_than_configured(predictor):
    most = API["predictor"]["config"]["most_words"]
    assert len(list(predictor.predict({"words": most + 1}).content)) == most
