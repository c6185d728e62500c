"""``onnx_client``: models run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.errors import PredictorError
from cortex_serving.models.cache import Load
from cortex_serving.models.catalog import LATEST, ModelFiles
from cortex_serving.models.library import Library

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class OnnxModel:
    """A session and what it wants to be given: name -> (shape, numpy type)."""

    session: Any
    inputs: Mapping[str, tuple[tuple[Any, ...], str]]


def load_onnx(path: Path, files: ModelFiles) -> OnnxModel:
    """Open the one ``*.onnx`` file of a model.

    Raises:
        PredictorError: onnxruntime is not installed, or there is not exactly one such file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        message = "an ONNXPredictor needs onnxruntime: add cortex-serving[onnx], or onnxruntime, to requirements.txt"
        raise PredictorError(message) from error
    found = [path] if path.is_file() else sorted(path.rglob("*.onnx"))
    if len(found) != 1:
        raise PredictorError(f"model {files.name} must have exactly one .onnx file, not {len(found)}")
    session = onnxruntime.InferenceSession(str(found[0]), providers=onnxruntime.get_available_providers())
    inputs = {node.name: (tuple(node.shape), _DTYPES.get(node.type, "")) for node in session.get_inputs()}
    return OnnxModel(session, inputs)


class OnnxClient:
    """What an ``ONNXPredictor`` is handed."""

    def __init__(self, open_library: Callable[[Load], Library]) -> None:
        self._library = open_library(load_onnx)

    def find(self) -> None:
        """Find the models."""
        self._library.find()

    def start(self) -> None:
        """Load what is loaded at the start."""
        self._library.start()

    def predict(self, model_input: Any, model_name: str | None = None, model_version: str = LATEST) -> list[Any]:
        """Run a model.

        Args:
            model_input: Values by input name, or the value itself for a model with one input. Values are cast to
                the input's type, and reshaped where at most one dimension is open.
            model_name: Model; None means the only one.
            model_version: A number, or ``latest``.

        Returns:
            The outputs as numpy arrays.

        Raises:
            UnknownModel: There is no such model.
            ValueError: An input is missing or of a shape that does not fit.
        """
        model: OnnxModel = self._library.get(model_name, model_version)
        outputs: list[Any] = model.session.run(None, _feed(model, model_input))
        return outputs

    def get_model(self, model_name: str | None = None, model_version: str = LATEST) -> dict[str, Any]:
        """The session and its signatures, as Cortex 0.22 gave them."""
        model: OnnxModel = self._library.get(model_name, model_version)
        return {
            "session": model.session,
            "signatures": model.session.get_inputs(),
            "input_signatures": _signatures(model),
        }

    def metadata(self) -> dict[str, Any]:
        """Models and their versions."""
        return {"model_metadata": self._library.names()}


def _signatures(model: OnnxModel) -> dict[str, Any]:
    return {name: {"shape": list(shape), "type": dtype} for name, (shape, dtype) in model.inputs.items()}


def _feed(model: OnnxModel, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        if len(model.inputs) != 1:
            raise ValueError(f"the model has several inputs: give a dict with {', '.join(model.inputs)}")
        given = {next(iter(model.inputs)): given}
    missing = model.inputs.keys() - given.keys()
    if missing:
        raise ValueError(f"missing inputs: {', '.join(sorted(missing))}")
    return {name: _fitted(given[name], *expected) for name, expected in model.inputs.items()}


def _fitted(value: Any, shape: tuple[Any, ...], dtype: str) -> Any:
    import numpy

    array = numpy.asarray(value, dtype=dtype or None)
    open_dimensions = [size for size in shape if not isinstance(size, int)]
    if array.ndim != len(shape) and len(open_dimensions) <= 1:
        array = array.reshape([size if isinstance(size, int) else -1 for size in shape])
    return array
