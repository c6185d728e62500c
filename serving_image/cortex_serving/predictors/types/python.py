"""``type: python``: any Python code. Where models are configured, the class's own ``load_model`` loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_serving.predictors.predictor_type import Client, Method, PredictorType

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary


def _client(open_library: OpenLibrary, predictor: Any) -> Client:
    from cortex_serving.models.python import PythonClient

    return PythonClient(open_library(lambda path, files: predictor.load_model(str(path))))


TYPE = PredictorType(
    name="python",
    class_name="PythonPredictor",
    client_argument="python_client",
    handler_argument="model_client",
    make_client=_client,
    needs_models=False,
    model_methods=(Method("load_model", allowed=("model_path",), needed=("model_path",)),),
)
