"""``type: tensorflow``: SavedModels, run by TensorFlow in the replica's own process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cortex_serving.predictors.predictor_type import Client, PredictorType, Runtime

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary

# Only for these are there wheels without CUDA. Markers know no "not".
_LINUX_X86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"
_OTHERS = "sys_platform != 'linux' or platform_machine != 'x86_64'"


def _client(open_library: OpenLibrary, _predictor: Any) -> Client:
    from cortex_serving.models.tensorflow import TensorFlowClient, load_saved_model

    return TensorFlowClient(open_library(load_saved_model))


def _wrong_files(paths: Sequence[str]) -> str | None:
    is_model = any(path.rpartition("/")[2] == "saved_model.pb" or path.endswith(".zip") for path in paths)
    return None if is_model else "has no saved_model.pb"


TYPE = PredictorType(
    name="tensorflow",
    class_name="TensorFlowPredictor",
    client_argument="tensorflow_client",
    make_client=_client,
    wrong_files=_wrong_files,
    runtimes=(
        Runtime(
            "tensorflow",
            (f"tensorflow-cpu>=2.16; {_LINUX_X86}", f"tensorflow>=2.16; {_OTHERS}"),
            ("tensorflow[and-cuda]>=2.16",),
        ),
    ),
    own_fields=frozenset({"signature_key", "tensorflow_serving_image", "shaped_outputs"}),
    batches_calls=True,
)
