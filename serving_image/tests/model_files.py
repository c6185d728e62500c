"""Small models, made when a test wants one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


def save_onnx_model(path: Path, factor: float) -> None:
    """A model that multiplies rows of two numbers."""
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    node = helper.make_node("Mul", ["x", "factor"], ["y"])
    graph = helper.make_graph(
        [node],
        "times",
        [value("x", TensorProto.FLOAT, ["batch", 2])],
        [value("y", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def save_onnx_identity(path: Path, kind: str, **shapes: list[str | int | None] | None) -> None:
    """A model that gives its inputs back: all of one type (``FLOAT``, say), by name, with these shapes."""
    import onnx
    from onnx import TensorProto, helper

    tensor = getattr(TensorProto, kind)
    inputs = [helper.make_tensor_value_info(name, tensor, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_out", tensor, None) for name in shapes]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in shapes]
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))


def tensorflow_or_skip() -> Any:
    """TensorFlow. Where ``CORTEX_REQUIRE_TENSORFLOW`` is set (``make test-tensorflow``), missing it is a failure."""
    if os.environ.get("CORTEX_REQUIRE_TENSORFLOW"):
        import tensorflow

        return tensorflow
    return pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-tensorflow runs this")


def save_tensorflow_model(tensorflow: Any, path: Path) -> None:
    """A model that doubles rows of numbers."""

    rows = tensorflow.TensorSpec([None, None], tensorflow.float32, name="x")

    class Twice(tensorflow.Module):  # type: ignore[misc]
        @tensorflow.function(input_signature=[rows])  # type: ignore[untyped-decorator]
        def predict(self, x: Any) -> dict[str, Any]:
            return {"y": x * 2.0}

    twice = Twice()
    tensorflow.saved_model.save(twice, str(path / "1"), {"predict": twice.predict})
