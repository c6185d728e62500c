"""The predictor by itself, without a cluster: python -m pytest (fetches the model from the Hugging Face Hub)"""

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("transformers")

from predictor import PythonPredictor

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())
(API,) = yaml.safe_load((FOLDER / "cortex.yaml").read_text())


def test_each_request_of_a_batch_has_its_own_answer():
    predictor = PythonPredictor(API["predictor"]["config"])
    answers = predictor.predict([SAMPLE, {"text": "I want my money back."}])
    assert [answer["label"] for answer in answers] == ["POSITIVE", "NEGATIVE"]
