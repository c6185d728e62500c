"""TensorFlow projects as people wrote them for the original Cortex: they answer as their code implies.

``make test-tensorflow`` runs this, where TensorFlow is. The projects stand in ``tests/compatibility/tensorflow``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import tensorflow

from tests.conftest import running

PROJECTS = Path(__file__).parents[2] / "tests" / "compatibility" / "tensorflow"
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def _iris(path: Path) -> None:
    """Save a model of four single numbers, which tells three classes of flowers by their petals' length."""
    specs = [tensorflow.TensorSpec([None], tensorflow.float32, name=name) for name in FEATURES]

    def classify(sepal_length: Any, sepal_width: Any, petal_length: Any, petal_width: Any) -> dict[str, Any]:
        unused = 0 * (sepal_length + sepal_width + petal_width)
        scores = tensorflow.stack([3 - petal_length, 0 * petal_length, petal_length - 5 + unused], axis=1)
        ids = tensorflow.argmax(scores, axis=1)[:, None]
        return {"class_ids": ids, "probabilities": tensorflow.nn.softmax(scores)}

    function = tensorflow.function(classify, input_signature=specs)
    tensorflow.saved_model.save(tensorflow.Module(), str(path), {"predict": function})


def _times(**factors: float) -> Callable[[Path], None]:
    """Return a function that saves a model of rows of two numbers, with a signature for each factor."""

    def save(path: Path) -> None:
        spec = tensorflow.TensorSpec([None, 2], tensorflow.float32, name="x")

        def signature(factor: float) -> Any:
            return tensorflow.function(lambda x: {"y": x * factor}, input_signature=[spec])

        signatures = {name: signature(factor) for name, factor in factors.items()}
        tensorflow.saved_model.save(tensorflow.Module(), str(path), signatures)

    return save


MODELS: dict[str, Callable[[Path], None]] = {
    "0.18-iris/model": _iris,
    "0.20-batching/model": _times(predict=2),
    "0.21-list-of-models/models/twice/1": _times(only=2),
    "0.21-list-of-models/models/both": _times(twice=2, thrice=3),
    "0.23-versions/models/scale/1": _times(predict=2),
    "0.23-versions/models/scale/2": _times(predict=3),
    "0.25-models-path/models/both": _times(twice=2, thrice=3),
    "0.27-paths/models/twice": _times(predict=2),
    "0.27-paths/models/scale/1": _times(predict=3),
    "0.35-handler/model/1": _iris,
}


@pytest.mark.parametrize("name", sorted(path.name for path in PROJECTS.iterdir()))
def test_a_tensorflow_project_answers_as_its_code_implies(tmp_path: Path, name: str) -> None:
    project = Path(shutil.copytree(PROJECTS / name, tmp_path / name))
    for path, save in MODELS.items():
        if path.startswith(f"{name}/"):
            save(tmp_path / path)
    cases: list[dict[str, Any]] = json.loads((project / "requests.json").read_text())
    with running([str(project), "--listen", "127.0.0.1:0"]) as replica, ThreadPoolExecutor(len(cases)) as pool:
        answers = list(pool.map(lambda case: _ask(replica.address, case), cases))
    assert answers == [case["answer"] for case in cases]


def _ask(address: str, case: dict[str, Any]) -> Any:
    answer = requests.post(f"{address}/{case.get('query', '')}", json=case["json"], timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.headers["Content-Type"].startswith("application/json") else answer.text
