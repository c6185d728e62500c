"""All workloads as one Cortex predictor."""

from typing import Any

from workloads import WORKLOAD, load, slow_batch


class PythonPredictor:
    def __init__(self, config: dict) -> None:
        self.model = load()

    def predict(self, payload: Any) -> Any:
        return slow_batch(payload) if WORKLOAD == "w3" else self.model(payload)
