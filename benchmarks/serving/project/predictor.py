"""All workloads as one Cortex predictor."""

import os
from typing import Any

from workloads import WORKLOAD, load, slow_batch

if os.environ.get("BENCH_WITHOUT"):
    import without  # noqa: F401


class PythonPredictor:
    def __init__(self, config: dict[str, Any]) -> None:
        self.model = load()
        self.batched = config.get("batched", False)

    def predict(self, payload: Any) -> Any:
        if not self.batched:
            return self.model(payload)
        return slow_batch(payload) if WORKLOAD == "w3" else [self.model(item) for item in payload]
