"""``type: tensorflow``: SavedModels, run by TensorFlow in the replica's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_serving.predictors.predictor_type import Client, PredictorType, Runtime

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary

_HAS_CPU_WHEELS = "sys_platform == 'linux' and platform_machine == 'x86_64'"


def _client(open_library: OpenLibrary, _predictor: Any) -> Client:
    from cortex_serving.models.tensorflow import TensorFlowClient, load_saved_model

    return TensorFlowClient(open_library(load_saved_model))


TYPE = PredictorType(
    name="tensorflow",
    class_name="TensorFlowPredictor",
    client_argument="tensorflow_client",
    make_client=_client,
    runtimes=(
        Runtime(
            "tensorflow",
            (f"tensorflow-cpu>=2.16; {_HAS_CPU_WHEELS}", f"tensorflow>=2.16; not ({_HAS_CPU_WHEELS})"),
            ("tensorflow[and-cuda]>=2.16",),
        ),
    ),
    own_fields=frozenset({"signature_key", "tensorflow_serving_image", "shaped_outputs"}),
    batches_calls=True,
)
