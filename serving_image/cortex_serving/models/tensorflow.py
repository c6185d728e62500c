"""``tensorflow_client``: SavedModels run in this process by TensorFlow."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.errors import PredictorError
from cortex_serving.models.catalog import LATEST, ModelFiles
from cortex_serving.models.library import Library


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
            raise PredictorError(f"model {files.name} is no SavedModel: it has no saved_model.pb")
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
            raise PredictorError(f"model {files.name} cannot be unpacked from {archive.name}: {error}") from error
        found = [file.parent for file in Path(folder).rglob("saved_model.pb")]
        yield max(found, key=lambda of: int(of.name) if of.name.isdecimal() else -1, default=Path(folder))


def _signature_key(files: ModelFiles, keys: list[str]) -> str:
    """Which signature: the configured one, else the only one, else ``predict`` (cortex.md 1.6)."""
    if files.signature_key is not None:
        if files.signature_key not in keys:
            raise PredictorError(f"model {files.name} has no signature {files.signature_key}; it has {', '.join(keys)}")
        return files.signature_key
    if len(keys) == 1:
        return keys[0]
    if "predict" in keys:
        return "predict"
    raise PredictorError(f"model {files.name} has the signatures {', '.join(keys) or 'none'}: choose a signature_key")


class TensorFlowClient:
    """The client of a ``TensorFlowPredictor``.

    Args:
        library: Loads models with ``load_saved_model``.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def find(self) -> None:
        """Find the models."""
        self._library.find()

    def start(self) -> None:
        """Load the models that are loaded at the start, and begin to follow changes."""
        self._library.start()

    def predict(
        self, model_input: Mapping[str, Any], model_name: str | None = None, model_version: str | int | None = LATEST
    ) -> dict[str, Any]:
        """Run a model.

        Args:
            model_input: Values by input name; cast to the input's type.
            model_name: Model; None means the only one.
            model_version: A number, or ``latest``.

        Returns:
            Lists by output name.

        Raises:
            UnknownModel: There is no such model.
            TypeError: The input is no mapping.
            ValueError: An input is missing, or does not fit in type or shape; it says what the model takes.
        """
        model: SavedModel = self._library.get(model_name, model_version)
        results = model.signature(**_tensors(model, model_input))
        return {name: _listed(value.numpy()) for name, value in results.items()}

    def metadata(self) -> dict[str, Any]:
        """Return the models and their versions."""
        return {"model_metadata": self._library.names()}


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
            tensor = tensorflow.convert_to_tensor(given[name], dtype=spec.dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {' '.join(str(error).split())}; {_described(model)}") from error
        if not spec.shape.is_compatible_with(tensor.shape):
            raise ValueError(f"{name} was given with the shape {tensor.shape}; {_described(model)}")
        tensors[name] = tensor
    return tensors


def _described(model: SavedModel) -> str:
    """Say on one line which inputs a model takes."""
    inputs = [f"{name} {spec.dtype.name} {spec.shape}" for name, spec in model.inputs.items()]
    return f"the model takes {', '.join(inputs)}"


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value  # a single text is bytes, not an array
