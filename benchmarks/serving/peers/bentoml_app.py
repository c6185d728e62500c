"""BentoML (one worker, as the others).

A batch there is one body: what a client sends is joined with others along the first dimension, so each client sends a
list of one.
"""

from typing import Any

import bentoml
from pydantic import RootModel
from workloads import BATCH_SIZE, load, slow_batch


@bentoml.service(workers=1, traffic={"timeout": 60}, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Service:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api(route="/predict")
    def predict(self, values: list[float]) -> dict[Any, Any]:
        answer: dict[Any, Any] = self.model({"values": values})
        return answer

    @bentoml.api(route="/predict-list")
    def predict_list(self, payload: RootModel[list[float]], /) -> dict[Any, Any]:
        answer: dict[Any, Any] = self.model(payload.root)
        return answer


@bentoml.service(workers=1, traffic={"timeout": 60}, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Batching:
    # What takes longer than max_latency_ms is refused with 503. How long it waits for more it finds out by itself.
    @bentoml.api(route="/predict", batchable=True, max_batch_size=BATCH_SIZE, max_latency_ms=2000)
    def predict(self, values: list[Any]) -> list[Any]:
        return slow_batch([{"values": value} for value in values])
