"""How ``predict`` is called: at once on the request's thread, or for a batch on the predictor's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import falcon

from cortex_serving.batching import Batcher, Expired, Item
from cortex_serving.exchange import Exchange
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.predictor import Predictor
from cortex_serving.spec import Batching

EXPIRED = "the request waited longer than its X-Cortex-Timeout-Ms"


class Invoke(Protocol):
    """Calls the predictor with the arguments of one request, and notes the times."""

    def __call__(self, arguments: dict[str, Any], exchange: Exchange) -> Any:
        """The predictor's value for the request; raises what the predictor raises."""


def direct(predictor: Predictor) -> Invoke:
    """Each request on its own."""
    predict = predictor.predict

    def invoke(arguments: dict[str, Any], exchange: Exchange) -> Any:
        start = time.perf_counter()
        try:
            return predict(**arguments)
        except SystemExit as error:
            raise RuntimeError("predict called sys.exit") from error
        finally:
            exchange.predict = time.perf_counter() - start

    return invoke


class Batched:
    """Requests in batches.

    Attributes:
        batcher: Its ``run`` belongs on the predictor's thread.
    """

    def __init__(
        self,
        predictor: Predictor,
        batching: Batching,
        counters: Counters,
        failed: Callable[[BaseException, int], None],
    ) -> None:
        self._predictor = predictor
        self.batcher = Batcher(self._run, batching, counters, failed)

    def __call__(self, arguments: dict[str, Any], exchange: Exchange) -> Any:
        """The predictor's value for one request of a batch."""
        item = Item(arguments, exchange.ticket.deadline)
        self.batcher.submit(item)
        try:
            return item.result()
        except Expired:
            raise falcon.HTTPGatewayTimeout(description=EXPIRED) from None
        finally:
            now = time.perf_counter()
            dispatched = now if item.dispatched is None else item.dispatched
            exchange.batch = dispatched - item.arrived
            exchange.predict = now - dispatched

    def _run(self, items: list[Item]) -> Sequence[Any]:
        arguments: dict[str, Any] = {
            name: None if name == "batch_id" else [item.arguments[name] for item in items]
            for name in self._predictor.wants
        }
        values: Any = self._predictor.predict(**arguments)
        if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__len__"):
            raise TypeError(f"predict must return a list with one value per payload, not {type(values).__name__}")
        return list(values)
