"""Publishes the requests that a replica has in flight, which its API is scaled by."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

from cortex_serving.contract import IN_FLIGHT_METRIC, REPORT_SECONDS
from cortex_serving.logs.pipeline import Pipeline
from cortex_serving.metrics.emf import Metric, emf_line
from cortex_serving.shared_state import Board, State


def publish_in_flight(board: Board, pipeline: Pipeline, dimensions: Mapping[str, str]) -> None:
    """Start to publish the requests in flight, zero too: without zeros an idle API would never scale in (aws.md 4).

    A replica that loads its model counts as well, with zero. The autoscaler multiplies the average by the running
    replicas; without those that load, the product would be several times the requests that there are.

    Args:
        board: The replica's shared memory.
        pipeline: Takes the log lines that carry the metric.
        dimensions: Those of the API's metrics.
    """

    def measure() -> None:
        samples: deque[int] = deque(maxlen=int(REPORT_SECONDS))
        while True:
            time.sleep(1.0)
            samples.append(board.in_flight)
            if len(samples) >= REPORT_SECONDS and board.state not in {State.DRAINING, State.FAILED}:
                average = sum(samples) / len(samples)
                pipeline.lines([emf_line(dimensions, [Metric(IN_FLIGHT_METRIC, average, "Count", 1)])])
                samples.clear()

    threading.Thread(target=measure, name="in-flight", daemon=True).start()
