"""``type: onnx``: models in ONNX's format, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cortex_serving.predictors.predictor_type import Client, PredictorType, Runtime

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary


def _client(open_library: OpenLibrary, _predictor: Any) -> Client:
    from cortex_serving.models.onnx import OnnxClient, load_onnx

    return OnnxClient(open_library(load_onnx))


def _wrong_files(paths: Sequence[str]) -> str | None:
    names = [path.rpartition("/")[2] for path in paths]
    count = sum(name.endswith(".onnx") and not name.startswith(".") for name in names)
    return None if count == 1 else f"must have exactly one .onnx file, not {count}"


TYPE = PredictorType(
    name="onnx",
    class_name="ONNXPredictor",
    client_argument="onnx_client",
    make_client=_client,
    on_inferentia=False,
    # From 1.21 on, CUDA and cuDNN can come from PyPI, too.
    wrong_files=_wrong_files,
    runtimes=(Runtime("onnxruntime", ("onnxruntime>=1.17",), ("onnxruntime-gpu[cuda,cudnn]>=1.21",)),),
)
