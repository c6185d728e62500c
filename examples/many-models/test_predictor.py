"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
from predictor import PythonPredictor

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())


class Client:
    """What replicas hand to the predictor, as far as this one uses it."""

    def get_model(self, name, version):
        versions = sorted((FOLDER / "models" / name).iterdir(), key=lambda folder: int(folder.name))
        folder = versions[-1] if version == "latest" else FOLDER / "models" / name / version
        return PythonPredictor.load_model(None, folder)


@pytest.fixture(scope="module")
def predictor():
    return PythonPredictor({}, Client())


def test_the_latest_english_model_answers(predictor):
    assert predictor.predict(SAMPLE, {}) == {"mood": "friendly", "score": 4}


@pytest.mark.parametrize(("query", "score"), [({"version": "1"}, 2), ({"model": "german"}, 0)])
def test_a_request_chooses_its_model(predictor, query, score):
    assert predictor.predict(SAMPLE, query)["score"] == score
