"""``onnx_client``: models run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.errors import PredictorError
from cortex_serving.models.catalog import ModelFiles
from cortex_serving.models.library import Library
from cortex_serving.models.requested_model import LATEST

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class OnnxModel:
    """A model that is ready to run.

    Attributes:
        session: onnxruntime's session.
        inputs: Shape and numpy type of each input, by name.
    """

    session: Any
    inputs: Mapping[str, tuple[tuple[Any, ...], str]]


def load_onnx(path: Path, files: ModelFiles) -> OnnxModel:
    """Open the one ``*.onnx`` file of a model.

    Args:
        path: The model's folder, or the file.
        files: The model, for messages.

    Raises:
        PredictorError: onnxruntime is not installed, or there is not exactly one such file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        message = "an ONNXPredictor needs onnxruntime: add cortex-serving[onnx], or onnxruntime, to requirements.txt"
        raise PredictorError(message) from error
    # macOS leaves ._model.onnx beside model.onnx
    found = [path] if path.is_file() else [file for file in path.rglob("*.onnx") if not file.name.startswith(".")]
    if len(found) != 1:
        raise PredictorError(f"{files.title} must have exactly one .onnx file, not {len(found)}")
    providers = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" in providers and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN of PyPI lie where no loader looks for libraries
    session = onnxruntime.InferenceSession(str(found[0]), providers=providers)
    inputs = {node.name: (tuple(node.shape), _DTYPES.get(node.type, "")) for node in session.get_inputs()}
    return OnnxModel(session, inputs)


class OnnxClient:
    """The client of an ``ONNXPredictor``.

    Args:
        library: Loads models with ``load_onnx``.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def find(self) -> None:
        """Find the models."""
        self._library.find()

    def start(self) -> None:
        """Load the models that are loaded at the start, and begin to follow changes."""
        self._library.start()

    @property
    def input_signatures(self) -> dict[str, Any]:
        """Shape and type of each input, by model, as in Cortex up to 0.21."""
        return {name: _signatures(self._library.get(name)) for name in self._library.names()}

    @property
    def sessions(self) -> dict[str, Any]:
        """onnxruntime's session of each model, as in Cortex up to 0.21."""
        return {name: self._library.get(name).session for name in self._library.names()}

    def predict(
        self, model_input: Any, model_name: str | None = None, model_version: str | int | None = LATEST
    ) -> list[Any]:
        """Run a model.

        Args:
            model_input: Values by input name, or the value itself for a model with one input. Values are cast to
                the input's type. One of another shape takes the input's, if it has the right number of items and at
                most one of the input's dimensions is open: a row for a model of batches, or a column.
            model_name: Model; None means the only one.
            model_version: A number, or ``latest``.

        Returns:
            The outputs as numpy arrays.

        Raises:
            UnknownModel: There is no such model.
            ValueError: An input is missing, or does not fit in type or shape; it says what the model takes.
        """
        model: OnnxModel = self._library.get(model_name, model_version)
        outputs: list[Any] = model.session.run(None, _feed(model, model_input))
        return outputs

    def get_model(self, model_name: str | None = None, model_version: str | int | None = LATEST) -> dict[str, Any]:
        """Return a model's session and signatures, as Cortex 0.22 did.

        Args:
            model_name: Model; None means the only one.
            model_version: A number, or ``latest``.

        Raises:
            UnknownModel: There is no such model.
        """
        model: OnnxModel = self._library.get(model_name, model_version)
        return {
            "session": model.session,
            "signatures": model.session.get_inputs(),
            "input_signatures": _signatures(model),
        }

    def metadata(self) -> dict[str, Any]:
        """Return the models and their versions."""
        return {"model_metadata": self._library.names()}


def _signatures(model: OnnxModel) -> dict[str, Any]:
    return {name: {"shape": list(shape), "type": dtype} for name, (shape, dtype) in model.inputs.items()}


def _feed(model: OnnxModel, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        if len(model.inputs) != 1:
            raise ValueError(f"the model has several inputs: give a dict; {_described(model)}")
        given = {next(iter(model.inputs)): given}
    missing = model.inputs.keys() - given.keys()
    if missing:
        raise ValueError(f"missing inputs: {', '.join(sorted(missing))}; {_described(model)}")
    try:
        return {name: _fitted(name, given[name], *expected) for name, expected in model.inputs.items()}
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{' '.join(str(error).split())}; {_described(model)}") from error


def _described(model: OnnxModel) -> str:
    """Say on one line which inputs a model takes."""
    inputs = [" ".join([name, *dtype.split(), _text(shape)]) for name, (shape, dtype) in model.inputs.items()]
    return f"the model takes {', '.join(inputs)}"


def _text(shape: tuple[Any, ...]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _fitted(name: str, value: Any, shape: tuple[Any, ...], dtype: str) -> Any:
    """Cast a value to an input's type. Reshape it if at most one of the input's dimensions is open (cortex.md 1.6)."""
    import numpy

    if not dtype:  # sequences, maps, and types that numpy has not
        return value
    try:
        array = _texts(value) if dtype == "str" else numpy.asarray(value, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} cannot be made {dtype}: {error}") from error
    if not shape or _fits(array.shape, shape):  # onnxruntime also says () of inputs with any number of dimensions
        return array
    fixed = [size if isinstance(size, int) else -1 for size in shape]
    if fixed.count(-1) <= 1:
        try:
            return array.reshape(fixed)
        except ValueError:
            pass  # said below, in the model's words
    raise ValueError(f"{name} was given with the shape {_text(array.shape)}")


def _fits(given: tuple[int, ...], expected: tuple[Any, ...]) -> bool:
    return len(given) == len(expected) and all(
        size == wanted or not isinstance(wanted, int) for size, wanted in zip(given, expected, strict=True)
    )


def _texts(value: Any) -> Any:
    """An array of text; onnxruntime would write bytes and None as Python does, ``b'a'``."""
    import numpy

    array = numpy.asarray(value, dtype="object")
    texts = numpy.empty(array.size, dtype="object")
    for n, item in enumerate(array.flat):
        if item is None or isinstance(item, (list, tuple)):
            raise ValueError(f"{item!r} is no text")
        texts[n] = item.decode() if isinstance(item, bytes) else str(item)
    return texts.reshape(array.shape)
