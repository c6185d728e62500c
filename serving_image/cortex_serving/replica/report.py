"""Publishes what a replica has in flight, which its API is scaled by, and beside that what it uses and serves.

Only the requests in flight are a metric. The rest are fields of the same log line, which cost no metric each
(docs/decisions/0064); ``cortex get`` reads them from the log.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from cortex_serving.contract import IN_FLIGHT_METRIC, REPORT_SECONDS, USAGE_FIELD
from cortex_serving.logs.pipeline import Pipeline
from cortex_serving.metrics.emf import Metric, emf_line
from cortex_serving.metrics.usage import UsageMeter
from cortex_serving.shared_state import Board, State

MOST_MODELS = 100
"""Models that are named: a line must stay short, however many models a folder has."""


class ReplicaReport:
    """Reports every ten seconds, when idle, too: without zeros an idle API would never scale in (aws.md 4).

    A replica that loads its model counts as well, with zero. The autoscaler multiplies the average by the running
    replicas; without those that load, the product would be several times the requests that there are.

    Args:
        board: The replica's shared memory.
        pipeline: Takes the log lines.
        dimensions: Those of the API's metrics.

    Attributes:
        models: Versions of the models that are served, by name.
    """

    def __init__(self, board: Board, pipeline: Pipeline, dimensions: Mapping[str, str]) -> None:
        self._board = board
        self._pipeline = pipeline
        self._dimensions = dimensions
        self.models: Mapping[str, Sequence[str]] = {}

    def start(self) -> None:
        """Start to report."""
        threading.Thread(target=self._run, name="report", daemon=True).start()

    def _run(self) -> None:
        samples: deque[int] = deque(maxlen=int(REPORT_SECONDS))
        meter = UsageMeter()
        while True:
            time.sleep(1.0)
            samples.append(self._board.in_flight)
            if len(samples) >= REPORT_SECONDS and self._board.state not in {State.DRAINING, State.FAILED}:
                in_flight = Metric(IN_FLIGHT_METRIC, sum(samples) / len(samples), "Count", 1)
                usage = {**meter.read(), "models": dict(list(self.models.items())[:MOST_MODELS])}
                self._pipeline.lines([emf_line(self._dimensions, [in_flight], {USAGE_FIELD: usage})])
                samples.clear()
