"""The ONNX models of the projects, by their paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper


def _save(path: Path, node: Any, output: Any, constants: list[Any]) -> None:
    rows = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph([node], "model", [rows], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def times(factor: float) -> Callable[[Path], None]:
    """Return a function that saves a model which multiplies rows of two numbers."""

    def save(path: Path) -> None:
        node = helper.make_node("Mul", ["x", "factor"], ["y"])
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
        _save(path, node, output, [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])])

    return save


def larger(path: Path) -> None:
    """Save a model that tells which of two numbers is the larger one."""
    node = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
    _save(path, node, helper.make_tensor_value_info("y", TensorProto.INT64, ["batch"]), [])


MODELS: dict[str, Callable[[Path], None]] = {
    "0.18-onnx-file/model.onnx": larger,
    "0.19-onnx-list-of-models/models/twice.onnx": times(2),
    "0.19-onnx-list-of-models/models/thrice.onnx": times(3),
    "0.21-onnx-signatures/model.onnx": times(2),
    "0.23-onnx-versions/scale/1/model.onnx": times(2),
    "0.23-onnx-versions/scale/2/model.onnx": times(3),
    "0.25-onnx-models-path/model/1/model.onnx": times(2),
    "0.27-onnx-folder/models/twice/model.onnx": times(2),
    "0.27-onnx-folder/models/thrice/model.onnx": times(3),
}
