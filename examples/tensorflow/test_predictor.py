"""The predictor by itself, without a cluster: python -m pytest"""

import json
from pathlib import Path

import pytest
from predictor import TensorFlowPredictor

tensorflow = pytest.importorskip("tensorflow")

FOLDER = Path(__file__).parent
SAMPLE = json.loads((FOLDER / "sample.json").read_text())


class Client:
    """What replicas hand to the predictor, as far as this one uses it."""

    def __init__(self):
        self.model = tensorflow.saved_model.load(str(FOLDER / "model"))

    def predict(self, inputs):
        tensors = {name: tensorflow.constant(value, tensorflow.float32) for name, value in inputs.items()}
        outputs = self.model.signatures["serving_default"](**tensors)
        return {name: values.numpy().tolist() for name, values in outputs.items()}


@pytest.fixture(scope="module")
def predictor():
    return TensorFlowPredictor(Client(), {})


def test_the_sample_is_a_four(predictor):
    answer = predictor.predict(SAMPLE)
    assert answer["digit"] == 4
    assert 0.5 < answer["probability"] <= 1


def test_an_image_without_a_row_is_refused(predictor):
    with pytest.raises(tensorflow.errors.InvalidArgumentError):
        predictor.predict({"pixels": SAMPLE["pixels"][1:]})
