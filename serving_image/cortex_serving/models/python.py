"""``python_client``: models that the predictor's own ``load_model`` loads."""

from __future__ import annotations

from typing import Any

from cortex_serving.models.library import Library
from cortex_serving.models.requested_model import LATEST


class PythonClient:
    """The client of a ``PythonPredictor`` with models; the predictor's ``__init__`` may use it already.

    Args:
        library: Loads models with the predictor's own ``load_model``.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def find(self) -> None:
        """Find the models."""
        self._library.find()

    def start(self) -> None:
        """Load the models that are loaded at the start, and begin to follow changes."""
        self._library.start()

    def get_model(self, model_name: str | None = None, model_version: str | int | None = LATEST) -> Any:
        """Return what ``load_model`` made of a model.

        Args:
            model_name: Model; None means the only one.
            model_version: A number, or ``latest``.

        Raises:
            UnknownModel: There is none of that name or version; the client of the API sees a 404.
            AmbiguousModel: No name was given, and there are several models; the client of the API sees a 400.
        """
        return self._library.get(model_name, model_version)

    def metadata(self) -> dict[str, Any]:
        """Return the models and their versions."""
        return {"model_metadata": self._library.names()}
