"""The models of the workloads, the same for every server. ``WORKLOAD`` chooses: w1, w2, w3, w4json, w4bytes."""

from __future__ import annotations

import os
import time
from typing import Any

WORKLOAD = os.environ.get("WORKLOAD", "w1")
BATCH_SIZE, BATCH_SECONDS = 32, 0.01


class Iris:
    """A scikit-learn model, one row at a time."""

    def __init__(self) -> None:
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        data = load_iris()
        self._model = LogisticRegression(max_iter=1000).fit(data.data, data.target)
        self._names = [str(name) for name in data.target_names]

    def __call__(self, payload: Any) -> Any:
        return {"class": self._names[int(self._model.predict([payload["values"]])[0])]}


def echo(payload: Any) -> Any:
    """W1: next to nothing."""
    return {"sum": sum(payload["values"])}


def measure(payload: Any) -> Any:
    """W4: how much came."""
    return {"count": len(payload)}


def slow_batch(payloads: list[Any]) -> list[Any]:
    """W3: 10 ms and 0.1 ms per item."""
    time.sleep(0.010 + 0.0001 * len(payloads))
    return [{"sum": sum(item["values"])} for item in payloads]


def load() -> Any:
    """The workload's model: a function of one payload."""
    if WORKLOAD == "w2":
        return Iris()
    if WORKLOAD == "w3":
        return lambda payload: slow_batch([payload])[0]
    return measure if WORKLOAD.startswith("w4") else echo
