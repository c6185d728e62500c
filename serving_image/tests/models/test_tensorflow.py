"""SavedModels: signatures, types, versions, batches (``make test-tensorflow`` has TensorFlow installed)."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Replica, Serve, eventually
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
    assert replica.post({"input": {"x": [[1, 2]]}}).json() == {"y": [2.0, 4.0]}


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
    shaped = serve(CLIENT, type="tensorflow", model_path="model", shaped_outputs=True)
    assert shaped.post({"input": {"x": "grün"}}).json() == {"y": "grün", "many": ["grün"]}
    shaped.stop()
    flat = serve(CLIENT, type="tensorflow", model_path="model")
    assert flat.post({"input": {"x": "grün"}}).json() == {"y": ["grün"], "many": ["grün"]}


def _save_table(tensorflow: Any, path: Path) -> None:
    """A model of outputs of several shapes and types, of rows of three numbers."""
    rows = tensorflow.TensorSpec([None, 3], tensorflow.float32, name="x")
    weights = tensorflow.TensorSpec([None], tensorflow.float32, name="weight")

    def outputs(x: Any, weight: Any) -> dict[str, Any]:
        scaled = x * weight[:, None]
        return {
            "rows": scaled,
            "best": tensorflow.argmax(scaled, axis=1),
            "small": tensorflow.cast(tensorflow.argmax(scaled, axis=1), tensorflow.int32),
            "above": scaled > 1,
            "pairs": scaled[:, None, :2],
            "total": tensorflow.reduce_sum(scaled),
        }

    module = tensorflow.Module()
    tensorflow.saved_model.save(
        module, str(path), {"predict": tensorflow.function(outputs, input_signature=[rows, weights])}
    )


FLAT = {
    "rows": [0.9, 0.0, 0.1, 1.0, 2.0, 3.0],
    "best": [0, 2],
    "small": [0, 2],
    "above": [False, False, False, False, True, True],
    "pairs": [0.9, 0.0, 1.0, 2.0],
    "total": [7.0],
}
SHAPED = {
    "rows": [[0.9, 0.0, 0.1], [1.0, 2.0, 3.0]],
    "best": [0, 2],
    "small": [0, 2],
    "above": [[False, False, False], [False, True, True]],
    "pairs": [[[0.9, 0.0]], [[1.0, 2.0]]],
    "total": 7.0,
}


@pytest.mark.parametrize(("options", "expected"), [({}, FLAT), ({"shaped_outputs": True}, SHAPED)])
def test_outputs_are_flat_lists_as_in_cortex_unless_shapes_are_asked_for(
    tensorflow: Any, serve: Serve, tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    _save_table(tensorflow, tmp_path / "project" / "model")
    replica = serve(CLIENT, type="tensorflow", model_path="model", **options)
    assert replica.post({"input": {"x": [[0.9, 0, 0.1], [1, 2, 3]], "weight": [1, 1]}}).json() == expected


INPUTS = """
import numpy, tensorflow
VALUES = {
    "a number": {"x": 3, "size": 2},
    "lists": {"x": [3], "size": [[2]]},
    "arrays of other types": {"x": numpy.array([3]), "size": numpy.array([[2.0]])},
    "scalars of numpy": {"x": numpy.float64(3), "size": numpy.int64(2)},
    "tensors": {"x": tensorflow.constant([3]), "size": tensorflow.constant([[2]], tensorflow.int64)},
}
class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client
    def predict(self, payload):
        if payload == "signatures":
            return self.client.input_signatures
        return self.client.predict(VALUES[payload])["y"]
"""


def test_inputs_are_cast_and_single_values_are_enough(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    """A scalar for a ``(None,)`` or ``(None, 1)`` input, as TensorFlow Serving accepted it."""
    specs = [
        tensorflow.TensorSpec([None], tensorflow.float32, name="x"),
        tensorflow.TensorSpec([None, 1], tensorflow.int64, name="size"),
    ]
    double = tensorflow.function(lambda x, size: {"y": x * tensorflow.cast(size[:, 0], x.dtype)}, input_signature=specs)
    tensorflow.saved_model.save(tensorflow.Module(), str(tmp_path / "project" / "model"), {"predict": double})
    replica = serve(INPUTS, type="tensorflow", model_path="model")
    for given in ("a number", "lists", "arrays of other types", "scalars of numpy", "tensors"):
        assert (given, replica.post(given).json()) == (given, [6.0])
    described = {"x": {"shape": [-1], "type": "float32"}, "size": {"shape": [-1, 1], "type": "int64"}}
    assert list(replica.post("signatures").json().values()) == [described]


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


CALLS = """
import threading
class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client
    def predict(self, payload):
        if payload == "wrong":
            return self.client.predict({"x": [[1, 2]]})
        return self.client.predict({"x": payload})["y"]
"""


def _in_batches(threads: int = 4, size: int = 4, interval: str = "5s") -> dict[str, Any]:
    return {
        "type": "tensorflow",
        "model_path": "model",
        "threads_per_process": threads,
        "server_side_batching": {"max_batch_size": size, "batch_interval": interval},
    }


def _save_counter(tensorflow: Any, path: Path) -> None:
    """A model that tells beside each row how many rows ran together."""
    spec = tensorflow.TensorSpec([None], tensorflow.float32, name="x")

    def outputs(x: Any) -> dict[str, Any]:
        together = tensorflow.cast(tensorflow.shape(x)[0], tensorflow.float32)
        checked = tensorflow.debugging.check_numerics(x, "this row is no number")
        return {"y": tensorflow.stack([checked * 2, tensorflow.fill(tensorflow.shape(x), together)], axis=1)}

    module = tensorflow.Module()
    tensorflow.saved_model.save(module, str(path), {"predict": tensorflow.function(outputs, input_signature=[spec])})


def _post_all(replica: Replica, payloads: list[Any]) -> list[requests.Response]:
    def post(payload: Any) -> requests.Response:
        return requests.post(f"{replica.address}/api", json=payload, timeout=30)

    with ThreadPoolExecutor(len(payloads)) as pool:
        return list(pool.map(post, payloads))


def test_calls_are_batched_by_the_client(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    """``predict`` gets one payload, as in Cortex; what its calls give to the client runs together."""
    _save_counter(tensorflow, tmp_path / "project" / "model")
    replica = serve(CALLS, **_in_batches())
    answers = [answer.json() for answer in _post_all(replica, [[n] for n in range(4)])]
    assert answers == [[2.0 * n, 4.0] for n in range(4)]  # four calls, one run: all threads wait, so none is missing
    rows = [answer.json() for answer in _post_all(replica, [[1, 2], [3, 4]])]
    assert rows == [[2.0, 4.0, 4.0, 4.0], [6.0, 4.0, 8.0, 4.0]]  # full by its rows
    assert replica.post([1, 2, 3, 4, 5]).json()[1::2] == [5.0] * 5  # more rows than a batch has: by itself


def test_one_thread_waits_for_nobody(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save_counter(tensorflow, tmp_path / "project" / "model")
    replica = serve(CALLS, **_in_batches(threads=1, interval="60s"))
    assert [replica.post([n]).json() for n in range(3)] == [[2.0 * n, 1.0] for n in range(3)]


def test_a_call_that_fails_fails_alone(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save_counter(tensorflow, tmp_path / "project" / "model")
    replica = serve(CALLS.replace('"x": payload', '"x": [float(v) for v in payload]'), **_in_batches())
    answers = _post_all(replica, [[1], ["nan"], [3], [4]])
    assert [answer.status_code for answer in answers] == [200, 500, 200, 200]
    assert [answers[n].json()[0] for n in (0, 2, 3)] == [2.0, 6.0, 8.0]


def test_a_model_that_mixes_rows_cannot_run_in_batches(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save_table(tensorflow, tmp_path / "project" / "model")
    replica = serve(CLIENT, **_in_batches(threads=1))
    answer = replica.post({"input": {"x": [[1, 2, 3]], "weight": [1]}})
    assert answer.status_code == 500
    reason = "output total has the shape () for 1 rows of input: remove server_side_batching"
    assert eventually(lambda: [text for text in replica.messages(level="ERROR") if reason in text])


def test_single_values_and_batches(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save_counter(tensorflow, tmp_path / "project" / "model")
    replica = serve(CALLS, **_in_batches())
    assert [answer.json() for answer in _post_all(replica, [0, 1, 2, 3])] == [[2.0 * n, 4.0] for n in range(4)]


def test_the_name_of_an_only_model_is_not_asked_for(tensorflow: Any, serve: Serve, tmp_path: Path) -> None:
    _save(tensorflow, tmp_path / "project" / "model", "y")
    replica = serve(CLIENT, type="tensorflow", model_path="model")
    assert replica.post({"input": {"x": [1]}, "model": "iris"}).json() == {"y": [2.0]}
