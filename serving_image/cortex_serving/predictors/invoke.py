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
Read = Callable[[], dict[str, Any]]
"""Reads the arguments of ``predict`` from a request, each time anew."""
BatchFailed = Callable[[BaseException, Sequence[Exchange], bool], None]
"""Told about requests whose batch failed as a whole, and whether each is predicted again, alone."""


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
    """The part of an admitted request in a batch.

    Args:
        admitted: The request.
        read: Reads the arguments of ``predict`` from the request.
        arguments: What it has read.
    """

    __slots__ = ("_read", "admitted")

    def __init__(self, admitted: Admitted, read: Read, arguments: dict[str, Any]) -> None:
        super().__init__(arguments, admitted.deadline, admitted.claim)
        self.admitted = admitted
        self._read = read

    def renew(self) -> None:
        """Read the arguments again."""
        self.arguments = self._read()


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
        failed: BatchFailed,
        put: Callable[..., None],
    ) -> None:
        self._predictor = predictor
        self._put = put
        self._failed = failed
        self.batcher: Batcher[_Part] = Batcher(self._run, batching, counters, self._tell_failed, self._settled)

    def _tell_failed(self, error: BaseException, parts: Sequence[_Part], split: bool) -> None:
        self._failed(error, [part.admitted for part in parts], split)

    def enlist(self, admitted: Admitted, read: Read) -> None:
        """Read what ``predict`` wants to know of a request, and have it predicted in a batch.

        Args:
            admitted: The request. What reading raises is its outcome.
            read: Reads it, from the beginning each time.
        """
        admitted.queue = time.perf_counter() - admitted.arrived
        try:
            part = _Part(admitted, read, read())
        except BaseException as error:  # also what a payload's own validator raises: it has an answer like any other
            if admitted.claim():
                admitted.outcome = _Part(admitted, read, {})
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
