"""What ``onnx_client.predict`` takes: types and shapes, and what it says of those that do not fit (cortex.md 1.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import Serve
from tests.model_files import save_onnx_identity

CLIENT = """
import numpy

class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client
    def predict(self, payload):
        model, given = payload
        if isinstance(given, str):
            given = eval(given)
        return [[str(out.dtype), out.shape, out] for out in self.client.predict(given, model)]
"""

MODELS: dict[str, tuple[str, dict[str, list[str | int | None] | None]]] = {
    "rows": ("FLOAT", {"x": ["batch", 2]}),
    "row": ("FLOAT", {"x": [1, 4]}),
    "column": ("FLOAT", {"x": ["n", 1]}),
    "open": ("FLOAT", {"x": ["batch", "features"]}),
    "unnamed": ("FLOAT", {"x": [None, 2]}),
    "images": ("FLOAT", {"x": ["batch", 1, 2, 2]}),
    "fixed": ("FLOAT", {"x": [2, 3]}),
    "scalar": ("FLOAT", {"x": []}),
    "any": ("FLOAT", {"x": None}),
    "doubles": ("DOUBLE", {"x": ["n"]}),
    "halves": ("FLOAT16", {"x": ["n"]}),
    "integers": ("INT64", {"x": ["n"]}),
    "bytes": ("UINT8", {"x": ["n"]}),
    "flags": ("BOOL", {"x": ["n"]}),
    "texts": ("STRING", {"x": ["n", 1]}),
    "two": ("FLOAT", {"a": ["batch", 2], "b": ["n"]}),
}

FITTING: list[tuple[str, Any, list[Any]]] = [
    ("rows", [[1, 2], [3, 4]], [["float32", [2, 2], [[1, 2], [3, 4]]]]),
    ("rows", [1, 2], [["float32", [1, 2], [[1, 2]]]]),
    ("rows", [1, 2, 3, 4], [["float32", [2, 2], [[1, 2], [3, 4]]]]),
    ("rows", [], [["float32", [0, 2], []]]),
    ("rows", {"x": [1, 2], "more": 3}, [["float32", [1, 2], [[1, 2]]]]),
    ("rows", "numpy.arange(4, dtype='>i2').reshape(2, 2).T", [["float32", [2, 2], [[0, 2], [1, 3]]]]),
    ("rows", ["1.5", "2"], [["float32", [1, 2], [[1.5, 2]]]]),
    ("rows", [None, 1], [["float32", [1, 2], [[None, 1]]]]),
    ("row", [1, 2, 3, 4], [["float32", [1, 4], [[1, 2, 3, 4]]]]),
    ("row", [[1], [2], [3], [4]], [["float32", [1, 4], [[1, 2, 3, 4]]]]),
    ("column", [1, 2, 3], [["float32", [3, 1], [[1], [2], [3]]]]),
    ("column", [[1, 2]], [["float32", [2, 1], [[1], [2]]]]),
    ("column", 5, [["float32", [1, 1], [[5]]]]),
    ("open", [[1, 2, 3]], [["float32", [1, 3], [[1, 2, 3]]]]),
    ("unnamed", [1, 2], [["float32", [1, 2], [[1, 2]]]]),
    ("images", [[[1, 2], [3, 4]]], [["float32", [1, 1, 2, 2], [[[[1, 2], [3, 4]]]]]]),
    ("images", [1, 2, 3, 4], [["float32", [1, 1, 2, 2], [[[[1, 2], [3, 4]]]]]]),
    ("fixed", [1, 2, 3, 4, 5, 6], [["float32", [2, 3], [[1, 2, 3], [4, 5, 6]]]]),
    ("scalar", 3, [["float32", [], 3]]),
    ("any", [[1, 2]], [["float32", [1, 2], [[1, 2]]]]),
    ("any", [1, 2], [["float32", [2], [1, 2]]]),
    ("doubles", [0.5], [["float64", [1], [0.5]]]),
    ("halves", [0.5], [["float16", [1], [0.5]]]),
    ("integers", [1.0, 2], [["int64", [2], [1, 2]]]),
    ("integers", "numpy.array([1, 2], dtype='float32')", [["int64", [2], [1, 2]]]),
    ("bytes", "b'ab' and [97, 98]", [["uint8", [2], [97, 98]]]),
    ("flags", [1, 0, True], [["bool", [3], [True, False, True]]]),
    ("texts", ["a", "ü"], [["object", [2, 1], [["a"], ["ü"]]]]),
    ("texts", "numpy.array([['a'], ['bc']])", [["object", [2, 1], [["a"], ["bc"]]]]),
    ("texts", "[b'raw', 1]", [["object", [2, 1], [["raw"], ["1"]]]]),
    ("texts", "'one'", [["object", [1, 1], [["one"]]]]),
    ("two", {"a": [1, 2], "b": 3}, [["float32", [1, 2], [[1, 2]]], ["float32", [1], [3]]]),
]

NOT_FITTING: list[tuple[str, Any, str]] = [
    ("rows", [1, 2, 3], "x was given with the shape [3]; the model takes x float32 [batch, 2]"),
    ("rows", [[1, 2, 3]], "x was given with the shape [1, 3]; the model takes x float32 [batch, 2]"),
    ("row", [[1, 2, 3, 4], [1, 2, 3, 4]], "x was given with the shape [2, 4]; the model takes x float32 [1, 4]"),
    ("open", [1, 2], "x was given with the shape [2]; the model takes x float32 [batch, features]"),
    ("unnamed", [1], "x was given with the shape [1]; the model takes x float32 [?, 2]"),
    ("rows", [[1, 2], [3]], "x cannot be made float32: setting an array element with a sequence. The requested array"),
    ("rows", ["a", "b"], "could not convert string to float: 'a'; the model takes x float32 [batch, 2]"),
    ("bytes", [300], "x cannot be made uint8: Python integer 300 out of bounds for uint8; the model takes x uint8 [n]"),
    ("integers", [None], "the model takes x int64 [n]"),
    ("texts", [None], "x cannot be made str: None is no text; the model takes x str [n, 1]"),
    ("rows", {"y": [1, 2]}, "missing inputs: x; the model takes x float32 [batch, 2]"),
    ("two", [1, 2], "the model has several inputs: give a dict; the model takes a float32 [batch, 2], b float32 [n]"),
    ("two", {"a": [1, 2]}, "missing inputs: b; the model takes a float32 [batch, 2], b float32 [n]"),
]


def test_inputs(serve: Serve, tmp_path: Path) -> None:
    for name, (kind, shapes) in MODELS.items():
        save_onnx_identity(tmp_path / "project" / "models" / name / "model.onnx", kind, **shapes)
    (tmp_path / "project" / "models" / "rows" / "._model.onnx").touch()  # as macOS leaves it
    replica = serve(CLIENT, type="onnx", models={"dir": "models"})
    for model, given, expected in FITTING:
        answer = replica.post([model, given])
        assert (answer.status_code, answer.text and answer.json()) == (200, expected), (model, given)
    for model, given, _ in NOT_FITTING:
        assert replica.post([model, given]).status_code == 500, (model, given)
    replica.stop()
    said = [text.splitlines()[-1] for text in replica.messages(level="ERROR") if "predict(given" in text]
    assert len(said) == len(NOT_FITTING)
    for line, (model, given, reason) in zip(said, NOT_FITTING, strict=True):
        assert reason in line, (model, given)


def test_the_only_model_has_no_name_that_its_user_would_not_know(serve: Serve, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        save_onnx_identity(tmp_path / "project/models/m" / name, "FLOAT", x=["n"])
    replica = serve(CLIENT, type="onnx", model_path="models/m", ready=False)
    assert replica.process.wait(30) != 0
    said = "\n".join(replica.messages())
    assert "the model must have exactly one .onnx file, not 2" in said
    assert "_cortex" not in said


def test_the_only_model_is_called_model_where_models_have_names(serve: Serve, tmp_path: Path) -> None:
    save_onnx_identity(tmp_path / "project/models/m.onnx", "FLOAT", x=["n"])
    code = """
        class ONNXPredictor:
            def __init__(self, onnx_client, config):
                self.client = onnx_client

            def predict(self, payload):
                named = self.client.get_model(payload)["input_signatures"]
                found = list(self.client.sessions)
                return {"signatures": self.client.input_signatures, "sessions": found, "one": named}
    """
    replica = serve(code, type="onnx", model_path="models/m.onnx")
    signature = {"x": {"shape": ["n"], "type": "float32"}}
    for name in ("model", "any"):
        expected = {"signatures": {"model": signature}, "sessions": ["model"], "one": signature}
        assert replica.post(name).json() == expected
    assert replica.get("/api").json()["model_metadata"] == {"model": ["1"]}
    replica.stop()
    assert "_cortex" not in "\n".join(str(line) for line in replica.lines)
