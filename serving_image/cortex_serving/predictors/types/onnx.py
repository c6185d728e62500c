"""``type: onnx``: models in ONNX's format, run by onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_serving.predictors.predictor_type import Client, PredictorType, Runtime

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary


def _client(open_library: OpenLibrary, _predictor: Any) -> Client:
    from cortex_serving.models.onnx import OnnxClient, load_onnx

    return OnnxClient(open_library(load_onnx))


TYPE = PredictorType(
    name="onnx",
    class_name="ONNXPredictor",
    client_argument="onnx_client",
    make_client=_client,
    on_inferentia=False,
    # From 1.21 on, CUDA and cuDNN can come from PyPI, too.
    runtimes=(Runtime("onnxruntime", ("onnxruntime>=1.17",), ("onnxruntime-gpu[cuda,cudnn]>=1.21",)),),
)
