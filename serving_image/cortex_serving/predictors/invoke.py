"""How ``predict`` is called: at once on the request's thread, or for a batch on the predictor's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from cortex_serving.metrics.telemetry import Counters
from cortex_serving.predictors.predictor import Predictor
from cortex_serving.request_context import Exchange
from cortex_serving.results.tables import split_batch
from cortex_serving.scheduling.admission import Admitted
from cortex_serving.scheduling.batching import Batcher, Item
from cortex_serving.spec import Batching

Invoke = Callable[[dict[str, Any], Exchange], Any]
"""Calls the predictor with the arguments of one request, and notes how long it took."""


def direct(predictor: Predictor) -> Invoke:
    """Each request on its own."""
    predict = predictor.predict

    def invoke(arguments: dict[str, Any], exchange: Exchange) -> Any:
        start = time.perf_counter()
        try:
            return predict(**arguments)
        finally:
            exchange.predict = time.perf_counter() - start

    return invoke


class _Part(Item):
    """The part of an admitted request in a batch."""

    __slots__ = ("admitted",)

    def __init__(self, admitted: Admitted, arguments: dict[str, Any]) -> None:
        super().__init__(arguments, admitted.deadline, admitted.claim)
        self.admitted = admitted


class Batched:
    """Requests in batches.

    Args:
        put: Has requests answered whose outcomes are known.

    Attributes:
        batcher: Its ``run_batch`` belongs on the predictor's thread.
    """

    def __init__(
        self,
        predictor: Predictor,
        batching: Batching,
        counters: Counters,
        failed: Callable[[BaseException, int], None],
        put: Callable[..., None],
    ) -> None:
        self._predictor = predictor
        self._put = put
        self.batcher: Batcher[_Part] = Batcher(self._run, batching, counters, failed, self._settled)

    def enlist(self, admitted: Admitted, read: Callable[[], dict[str, Any]]) -> None:
        """Read what ``predict`` wants to know of a request, and have it predicted in a batch.

        Args:
            admitted: The request. What reading raises is its outcome.
            read: Reads it.
        """
        admitted.queue = time.perf_counter() - admitted.arrived
        try:
            part = _Part(admitted, read())
        except BaseException as error:  # also what a payload's own validator raises: it has an answer like any other
            if admitted.claim():
                admitted.outcome = _Part(admitted, {})
                admitted.outcome.settle(error=error)
                self._put(admitted)
            return
        admitted.when_given_up(self.batcher.withdraw, part)
        self.batcher.submit(part)

    def _settled(self, parts: Sequence[_Part]) -> None:
        for part in parts:
            admitted = part.admitted
            dispatched = part.settled if part.dispatched is None else part.dispatched
            admitted.batch = dispatched - part.arrived
            admitted.predict = part.settled - dispatched
            admitted.outcome = part
        self._put(*[part.admitted for part in parts])

    def _run(self, parts: list[_Part]) -> Sequence[Any]:
        arguments: dict[str, Any] = {
            name: None if name == "batch_id" else [part.arguments[name] for part in parts]
            for name in self._predictor.wants
        }
        return split_batch(self._predictor.predict(**arguments), len(parts))
