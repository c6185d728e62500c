"""BentoML (one worker, as the others)."""

from typing import Any

import bentoml
from workloads import BATCH_SECONDS, BATCH_SIZE, load, slow_batch


@bentoml.service(workers=1, traffic={"timeout": 60})
class Service:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api(route="/predict")
    def predict(self, values: list[float]) -> dict:
        return self.model({"values": values})


@bentoml.service(workers=1, traffic={"timeout": 60})
class Batching:
    @bentoml.api(
        route="/predict", batchable=True, max_batch_size=BATCH_SIZE, max_latency_ms=int(BATCH_SECONDS * 1000) + 50
    )
    def predict(self, values: list[Any]) -> list[Any]:
        return slow_batch([{"values": value} for value in values])
