"""``tensorflow_client``: SavedModels run in this process by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.errors import PredictorError
from cortex_serving.models.cache import Load
from cortex_serving.models.catalog import LATEST, ModelFiles
from cortex_serving.models.library import Library


@dataclass(frozen=True)
class SavedModel:
    """A loaded SavedModel and the signature that is called. The module must stay referenced: it owns the variables."""

    module: Any
    signature: Any
    inputs: Mapping[str, Any]


def load_saved_model(path: Path, files: ModelFiles) -> SavedModel:
    """Load a SavedModel.

    Raises:
        PredictorError: TensorFlow is not installed, the folder holds no SavedModel, or its signature is not clear.
    """
    try:
        import tensorflow
    except ImportError as error:
        message = "a TensorFlowPredictor needs TensorFlow: add cortex-serving[tensorflow] to requirements.txt"
        raise PredictorError(message) from error
    if not (path / "saved_model.pb").is_file():
        raise PredictorError(f"model {files.name} is no SavedModel: it has no saved_model.pb")
    module = tensorflow.saved_model.load(str(path))
    signature = module.signatures[_signature_key(files, list(module.signatures))]
    return SavedModel(module, signature, signature.structured_input_signature[1])


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
    """What a ``TensorFlowPredictor`` is handed."""

    def __init__(self, open_library: Callable[[Load], Library]) -> None:
        self._library = open_library(load_saved_model)

    def find(self) -> None:
        """Find the models."""
        self._library.find()

    def start(self) -> None:
        """Load what is loaded at the start."""
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
            ValueError: An input is missing.
            TypeError: The input is no mapping.
        """
        import tensorflow

        model: SavedModel = self._library.get(model_name, model_version)
        if not isinstance(model_input, Mapping):
            raise TypeError(f"the model takes a dict with {', '.join(model.inputs)}, not {type(model_input).__name__}")
        missing = model.inputs.keys() - model_input.keys()
        if missing:
            raise ValueError(f"missing inputs: {', '.join(sorted(missing))}; the model takes {', '.join(model.inputs)}")
        tensors = {
            name: tensorflow.convert_to_tensor(model_input[name], dtype=spec.dtype)
            for name, spec in model.inputs.items()
        }
        return {name: value.numpy().tolist() for name, value in model.signature(**tensors).items()}

    def metadata(self) -> dict[str, Any]:
        """Models and their versions."""
        return {"model_metadata": self._library.names()}
