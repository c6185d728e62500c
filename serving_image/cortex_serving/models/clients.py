"""Which client a predictor is handed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from cortex_serving.errors import PredictorError
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.cache import Load
from cortex_serving.models.library import Library, PythonClient
from cortex_serving.models.onnx import OnnxClient
from cortex_serving.models.tensorflow import TensorFlowClient
from cortex_serving.spec import Models, PredictorSpec

FOLDER_VARIABLE = "CORTEX_MODEL_DIR"  # set by the supervisor: the workers of a replica share what they fetch


class Client(Protocol):
    """What all clients have besides their methods for predictors."""

    def find(self) -> None:
        """Find the models: from here on they can be asked for, as a predictor's ``__init__`` may do."""

    def start(self) -> None:
        """Load what is loaded at the start, and begin to follow changes."""

    def metadata(self) -> dict[str, Any]:
        """What GET on the API tells about the models."""


def make_client(spec: PredictorSpec, project: Path, counters: Counters) -> Client | None:
    """The client of a predictor; None for a Python predictor without models.

    Raises:
        PredictorError: The type of predictor needs models, and has none.
    """
    if spec.models is None:
        if spec.type != "python":
            raise PredictorError(f"{spec.class_name} needs predictor.model_path or predictor.models")
        return None
    open_library = partial(_open_library, spec.models, project, counters)
    kinds: dict[str, Callable[[Callable[[Load], Library]], Client]] = {
        "python": PythonClient,
        "onnx": OnnxClient,
        "tensorflow": TensorFlowClient,
    }
    return kinds[spec.type](open_library)


def _open_library(models: Models, project: Path, counters: Counters, load: Load) -> Library:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or tempfile.mkdtemp(prefix="cortex-models-"))
    return Library(models, project, folder, load, counters)
