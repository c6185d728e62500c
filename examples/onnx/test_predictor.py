"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
from predictor import ONNXPredictor

onnxruntime = pytest.importorskip("onnxruntime")

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())


class Client:
    """What replicas hand to the predictor, as far as this one uses it."""

    def __init__(self):
        self.session = onnxruntime.InferenceSession(FOLDER / "model" / "digits.onnx")

    def predict(self, pixels):
        return self.session.run(None, {"pixels": pixels.astype("float32")})


@pytest.fixture(scope="module")
def predictor():
    return ONNXPredictor(Client(), {})


def test_the_sample_is_a_four(predictor):
    answer = predictor.predict(SAMPLE)
    assert answer["digit"] == 4
    assert 0.5 < answer["probability"] <= 1


def test_an_image_without_a_row_is_refused(predictor):
    with pytest.raises(ValueError, match="reshape"):
        predictor.predict({"pixels": SAMPLE["pixels"][1:]})
