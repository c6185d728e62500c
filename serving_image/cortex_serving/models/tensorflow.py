"""``tensorflow_client``: SavedModels run in this process by TensorFlow."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cortex_serving.errors import PredictorError
from cortex_serving.models.call_batching import CallBatcher
from cortex_serving.models.catalog import ModelFiles
from cortex_serving.models.library import Library
from cortex_serving.models.requested_model import LATEST


@dataclass(frozen=True)
class SavedModel:
    """A SavedModel that is ready to run.

    Attributes:
        module: The loaded module, which owns the variables: it must stay referenced.
        signature: The signature to call.
        inputs: TensorFlow's specification of each input, by name.
    """

    module: Any
    signature: Any
    inputs: Mapping[str, Any]


def load_saved_model(path: Path, files: ModelFiles) -> SavedModel:
    """Load a SavedModel.

    Args:
        path: The model's folder, or a zip archive of one.
        files: The model, for messages and for its signature.

    Raises:
        PredictorError: TensorFlow is not installed, the folder holds no SavedModel, or its signature is not clear.
    """
    try:
        import tensorflow
    except ImportError as error:
        message = "a TensorFlowPredictor needs TensorFlow: add cortex-serving[tensorflow] to requirements.txt"
        raise PredictorError(message) from error
    with _unpacked(path, files) as folder:
        if not (folder / "saved_model.pb").is_file():
            raise PredictorError(f"{files.title} is no SavedModel: it has no saved_model.pb")
        module = tensorflow.saved_model.load(str(folder))
    signature = module.signatures[_signature_key(files, list(module.signatures))]
    return SavedModel(module, signature, signature.structured_input_signature[1])


@contextmanager
def _unpacked(path: Path, files: ModelFiles) -> Iterator[Path]:
    """Yield the folder of a SavedModel; of a zip archive, as Cortex 0.20 took, the newest one in it (cortex.md 2.3)."""
    archive = path if path.is_file() else next(iter(path.glob("*.zip")), None)
    if archive is None or (path / "saved_model.pb").is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="cortex-model-") as folder:
        try:
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise PredictorError(f"{files.title} cannot be unpacked from {archive.name}: {error}") from error
        found = [file.parent for file in Path(folder).rglob("saved_model.pb")]
        yield max(found, key=lambda of: int(of.name) if of.name.isdecimal() else -1, default=Path(folder))


def _signature_key(files: ModelFiles, keys: list[str]) -> str:
    """Which signature: the configured one, else the only one, else ``predict`` (cortex.md 1.6)."""
    if files.signature_key is not None:
        if files.signature_key not in keys:
            raise PredictorError(f"{files.title} has no signature {files.signature_key}; it has {', '.join(keys)}")
        return files.signature_key
    if len(keys) == 1:
        return keys[0]
    if "predict" in keys:
        return "predict"
    raise PredictorError(f"{files.title} has the signatures {', '.join(keys) or 'none'}: choose a signature_key")


class TensorFlowClient:
    """The client of a ``TensorFlowPredictor``, which works as that of Cortex did (cortex.md 1.6).

    Args:
        library: Loads models with ``load_saved_model``.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._listed = _shaped if library.models.shaped_outputs else _flat
        batching = library.models.batching
        self._batched: CallBatcher[_Call, dict[str, Any]] | None = (
            CallBatcher(_run_together, batching, library.models.callers, library.counters) if batching else None
        )

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

    def predict(
        self, model_input: Mapping[str, Any], model_name: str | None = None, model_version: str | int | None = LATEST
    ) -> dict[str, Any]:
        """Run a model. With ``server_side_batching``, calls of other threads at the same time share the run.

        Args:
            model_input: Values by input name; cast to the input's type. A single value is enough for an input whose
                dimensions are all open.
            model_name: Model; None means the only one.
            model_version: A number, or ``latest``.

        Returns:
            By output name, all values in one flat list, whatever the output's shape; with ``shaped_outputs``, lists of
            the output's shape.

        Raises:
            UnknownModel: There is no such model.
            TypeError: The input is no mapping.
            ValueError: An input is missing, or does not fit in type or shape; it says what the model takes. Or a model
                does not keep the rows of a batch apart.
        """
        model: SavedModel = self._library.get(model_name, model_version)
        tensors = _tensors(model, model_input)
        rows = _rows(tensors) if self._batched else None
        if self._batched is None or rows is None:
            results = model.signature(**tensors)
        else:
            kinds = (id(model), *sorted((name, each.dtype, *each.shape[1:]) for name, each in tensors.items()))
            results = self._batched(kinds, _Call(model, tensors, rows), rows)
        return {name: self._listed(value.numpy()) for name, value in results.items()}

    def metadata(self) -> dict[str, Any]:
        """Return the models and their versions."""
        return {"model_metadata": self._library.names()}


@dataclass(frozen=True)
class _Call:
    """The inputs of one call, whose first axes have the same length."""

    model: SavedModel
    tensors: Mapping[str, Any]
    rows: int


def _rows(tensors: Mapping[str, Any]) -> int | None:
    """Return the length of the first axis of all inputs; None where they have no common one, and fit no batch."""
    lengths = {tensor.shape[0] if tensor.shape.rank else None for tensor in tensors.values()}
    return lengths.pop() if len(lengths) == 1 else None


def _run_together(calls: Sequence[_Call]) -> list[dict[str, Any]]:
    """Run a model once for several calls: the inputs one after the other along the first axis, the outputs divided."""
    import tensorflow

    model = calls[0].model
    joined = {name: tensorflow.concat([call.tensors[name] for call in calls], axis=0) for name in model.inputs}
    results = model.signature(**joined)
    sizes = [call.rows for call in calls]
    for name, value in results.items():
        if not value.shape.rank or value.shape[0] != sum(sizes):
            rows = f"output {name} has the shape {value.shape} for {sum(sizes)} rows of input"
            raise ValueError(f"{rows}: remove server_side_batching, which needs models that keep rows apart")
    divided = {name: tensorflow.split(value, sizes, axis=0) for name, value in results.items()}
    return [{name: parts[index] for name, parts in divided.items()} for index in range(len(calls))]


def _tensors(model: SavedModel, given: Any) -> dict[str, Any]:
    import tensorflow

    if not isinstance(given, Mapping):
        raise TypeError(f"the input is {type(given).__name__}, not a dict; {_described(model)}")
    missing = model.inputs.keys() - given.keys()
    if missing:
        raise ValueError(f"missing inputs: {', '.join(sorted(missing))}; {_described(model)}")
    tensors = {}
    for name, spec in model.inputs.items():
        try:
            tensor = _tensor(tensorflow, given[name], spec.dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {' '.join(str(error).split())}; {_described(model)}") from error
        if tensor.shape.rank == 0 and spec.shape.rank and all(size in (None, 1) for size in spec.shape):
            tensor = tensorflow.reshape(tensor, [1] * spec.shape.rank)
        if not spec.shape.is_compatible_with(tensor.shape):
            raise ValueError(f"{name} was given with the shape {tensor.shape}; {_described(model)}")
        tensors[name] = tensor
    return tensors


def _tensor(tensorflow: Any, value: Any, dtype: Any) -> Any:
    """Cast a value as Cortex's client did: arrays and tensors to the input's type, lists only without loss."""
    if tensorflow.is_tensor(value) or hasattr(value, "dtype"):
        return tensorflow.cast(value, dtype)
    return tensorflow.convert_to_tensor(value, dtype=dtype)


def _described(model: SavedModel) -> str:
    """Say on one line which inputs a model takes."""
    inputs = [f"{name} {spec.dtype.name} {spec.shape}" for name, spec in model.inputs.items()]
    return f"the model takes {', '.join(inputs)}"


def _signatures(model: SavedModel) -> dict[str, Any]:
    """Describe inputs as Cortex did: an open dimension is -1."""
    return {
        name: {"shape": [-1 if size is None else size for size in spec.shape], "type": spec.dtype.name}
        for name, spec in model.inputs.items()
    }


def _flat(value: Any) -> list[Any]:
    """List all values of an output, as the client of Cortex did (the ``*_val`` fields of a ``TensorProto``)."""
    import numpy

    listed: list[Any] = _shaped(numpy.reshape(value, -1))
    return listed


def _shaped(value: Any) -> Any:
    import numpy

    short = isinstance(value, (numpy.ndarray, numpy.generic)) and value.dtype in (numpy.float16, numpy.float32)
    if short and numpy.isfinite(value).all():  # as few digits as the type needs, as in Cortex: 0.9, not 0.89999998
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    return value.tolist() if hasattr(value, "tolist") else value  # a single text is bytes, not an array
