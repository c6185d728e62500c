"""SavedModels: signatures, types, versions, batches (``make test-tensorflow`` has TensorFlow installed)."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Serve, eventually
from tests.model_files import save_tensorflow_model, tensorflow_or_skip

CLIENT = """
class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client
    def predict(self, payload):
        return self.client.predict(payload["input"], payload.get("model"), payload.get("version", "latest"))
"""


@pytest.fixture(scope="module")
def tensorflow() -> Any:
    return tensorflow_or_skip()


def _save(tensorflow: Any, path: Path, *names: str, factor: float = 2.0) -> None:
    """A model with these signatures: each multiplies, and says by its output's name which one it was."""
    module = tensorflow.Module()
    module.factor = tensorflow.Variable(factor)

    def signature(name: str) -> Any:
        spec = tensorflow.TensorSpec([None], tensorflow.float32, name="x")
        return tensorflow.function(lambda x: {name: x * module.factor}, input_signature=[spec])

    tensorflow.saved_model.save(module, str(path), {name: signature(name) for name in names})


def test_the_signature(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    """The configured one, else the only one, else predict (cortex.md 1.6)."""
    models = tmp_path / "project" / "models"
    _save(tensorflow, models / "one", "only")
    _save(tensorflow, models / "two", "predict", "other")
    paths = [
        {"name": "one", "model_path": "models/one"},
        {"name": "two", "model_path": "models/two"},
        {"name": "chosen", "model_path": "models/two", "signature_key": "other"},
    ]
    replica = serve(CLIENT, type="tensorflow", models={"paths": paths})
    for name, output in (("one", "only"), ("two", "predict"), ("chosen", "other")):
        assert replica.post({"input": {"x": [1, 2.5]}, "model": name}).json() == {output: [2.0, 5.0]}
    assert replica.post({"input": {"x": [1]}, "model": "none"}).status_code == 404
    assert replica.post({"input": {"x": [1]}}).status_code == 400  # several models, none named


UNUSABLE = {
    "several": (("a", "b"), {}, "has the signatures a, b: choose a signature_key"),
    "unknown": (("a",), {"signature_key": "b"}, "has no signature b; it has a"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_signature_that_is_not_clear_ends_the_replica(
    tensorflow: Any, serve: Serve, tmp_path: Path, case: str
) -> None:
    names, options, reason = UNUSABLE[case]
    _save(tensorflow, tmp_path / "project" / "model", *names)
    replica = serve(CLIENT, type="tensorflow", model_path="model", ready=False, **options)
    assert replica.process.wait(60) == 1
    replica.stop()
    assert reason in replica.lines[-1]["message"]


def test_what_does_not_fit_the_model_is_logged_with_its_reason(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    save_tensorflow_model(tensorflow, tmp_path / "project" / "model")
    replica = serve(CLIENT, type="tensorflow", model_path="model")
    takes = "; the model takes x float32 (None, None)"
    for given, reason in (
        ({}, f"missing inputs: x{takes}"),
        ({"x": [["a"]]}, f"to EagerTensor of dtype float{takes}"),
        ({"x": [1]}, f"x was given with the shape (1,){takes}"),
        ([1], f"the input is list, not a dict{takes}"),
    ):
        answer = replica.post({"input": given}, headers={"X-Request-Id": "mine"})
        assert (answer.status_code, answer.json()["error"]) == (500, "internal server error")
        assert reason in eventually(lambda: replica.messages(level="ERROR", request_id="mine"))[-1]
        replica.lines.clear()
    assert replica.post({"input": {"x": [[1, 2]]}}).json() == {"y": [[2.0, 4.0]]}


EARLY = """
class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.first = tensorflow_client.predict({"x": [1]})
    def predict(self, payload):
        return self.first
"""


def test_a_model_may_be_run_in_init(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save(tensorflow, tmp_path / "project" / "model", "y")
    assert serve(EARLY, type="tensorflow", model_path="model").post(1).json() == {"y": [2.0]}


def test_a_zip_archive(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    """As Cortex 0.20 took them: the newest version inside."""
    for version in (2, 10):
        _save(tensorflow, tmp_path / "packed" / "model" / str(version), "y", factor=float(version))
    shutil.make_archive(str(tmp_path / "project" / "models" / "model"), "zip", tmp_path / "packed")
    replica = serve(CLIENT, type="tensorflow", model_path="models/model.zip")
    assert replica.post({"input": {"x": [1]}}).json() == {"y": [10.0]}


def test_text(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    spec = tensorflow.TensorSpec([], tensorflow.string, name="x")
    module = tensorflow.Module()
    echo = tensorflow.function(lambda x: {"y": x, "many": tensorflow.stack([x])}, input_signature=[spec])
    tensorflow.saved_model.save(module, str(tmp_path / "project" / "model"), {"predict": echo})
    replica = serve(CLIENT, type="tensorflow", model_path="model")
    assert replica.post({"input": {"x": "grün"}}).json() == {"y": "grün", "many": ["grün"]}


def test_versions_and_a_new_one(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    model = tmp_path / "project" / "models" / "m"
    _save(tensorflow, model / "1", "y", factor=1.0)
    _save(tensorflow, model / "2", "y", factor=2.0)
    replica = serve(CLIENT, type="tensorflow", models={"dir": "models"})

    def ask(**options: Any) -> Any:
        return replica.post({"input": {"x": [1]}, "model": "m", **options}).json()

    assert (ask(), ask(version="1"), ask(version="2")) == ({"y": [2.0]}, {"y": [1.0]}, {"y": [2.0]})
    assert ask(version="3")["error"]
    assert replica.get("/api").json()["model_metadata"] == {"m": ["1", "2"]}


def test_batches(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save(tensorflow, tmp_path / "project" / "model", "y")
    replica = serve(
        """
        class TensorFlowPredictor:
            def __init__(self, tensorflow_client, config):
                self.client = tensorflow_client
            def predict(self, payload):
                return self.client.predict({"x": payload})["y"]
        """,
        type="tensorflow",
        model_path="model",
        server_side_batching={"max_batch_size": 8, "batch_interval": "20ms"},
    )
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: requests.post(replica.address, json=n, timeout=30).json(), range(40))
    assert list(answers) == [2.0 * n for n in range(40)]
