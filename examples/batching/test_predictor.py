"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest

pytest.importorskip("numpy")

from predictor import PythonPredictor

SAMPLE = json.loads(Path(__file__).with_name("sample.json").read_text())


@pytest.fixture(scope="module")
def predictor():
    return PythonPredictor({})


def test_each_request_of_a_batch_has_its_own_answer(predictor):
    answers = predictor.predict([SAMPLE, {"text": "tomatoes on my balcony"}])
    assert [answer["title"] for answer in answers] == [
        "How to bake bread with wild yeast",
        "Growing tomatoes on a balcony",
    ]
    assert {answer["batch"] for answer in answers} == {2}


def test_a_title_is_most_like_itself(predictor):
    (answer,) = predictor.predict([{"text": "A history of the printing press"}])
    assert answer["likeness"] == 1
