"""Server-side batching: requests that come close together are predicted together.

One thread per process runs batches and does nothing else: items are handed over by other threads, and answered by other
threads once they are settled. While a batch runs the next one is collected, so the model is never idle while requests
wait, except that an idle model waits a moment for a batch to fill up: at most ``batch_interval`` after the first
item, and less when the flow of items has visibly stopped, or an item's deadline comes near.

An item whose deadline has passed when its batch begins is settled with ``Expired`` and costs the predictor nothing; one
whose client was answered or has gone while it waited is taken out at once (``Batcher.withdraw``).

An exception of a batch of one is that item's answer. One of a larger batch is nobody's: each item is predicted again,
alone, so that no item's answer depends on its company; or all items fail, if the API wants that (docs/decisions/0036).
"""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

from cortex_serving.contract import BATCH_SIZE_METRIC
from cortex_serving.errors import UnsupportedResult
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.spec import Batching

_FIRST_GAP = 0.00025  # seconds between items that are assumed before any were seen
_QUIET_GAPS = 4  # so many usual gaps without an item: the flow has stopped
_SHORTEST_QUIET = 0.0005
_SMOOTHING = 0.1


class BatchFailed(Exception):
    """The whole batch failed; the reason was logged once, where it happened."""


class Expired(Exception):
    """The item's deadline passed before its batch was dispatched."""


class Why(enum.Enum):
    """Why a batch was dispatched."""

    FULL = "Full"
    INTERVAL = "Interval"
    DEADLINE = "Deadline"
    QUIET = "Quiet"


class Item:
    """One request's part of a batch.

    Args:
        arguments: By name, what ``predict`` wants to know of this request.
        deadline: ``time.perf_counter`` when its client gives up, or None.
        claim: Asked when its batch is dispatched: False if nobody waits for its answer any more.

    Attributes:
        arrived: When it was made.
        dispatched: When its batch was dispatched; None while it waits.
        settled: When its answer was known.
        withdrawn: Whether it is not to be predicted any more.
        error: The exception that is its answer, if it is one.
        traceback: Where that came from, before it was raised again.
    """

    __slots__ = (
        "_value",
        "arguments",
        "arrived",
        "claim",
        "deadline",
        "dispatched",
        "error",
        "settled",
        "traceback",
        "withdrawn",
    )

    def __init__(self, arguments: dict[str, Any], deadline: float | None, claim: Callable[[], bool]) -> None:
        self.arguments = arguments
        self.deadline = deadline
        self.claim = claim
        self.arrived = time.perf_counter()
        self.dispatched: float | None = None
        self.settled = 0.0
        self.withdrawn = False
        self._value: Any = None
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    def renew(self) -> None:
        """Make the arguments anew: they were given to ``predict`` before, which may have changed them."""

    def settle(self, value: Any = None, error: BaseException | None = None) -> None:
        """Give the item its answer."""
        self._value, self.error = value, error
        if error is not None:
            self.traceback = error.__traceback__
        self.settled = time.perf_counter()

    def result(self) -> Any:
        """The answer of a settled item.

        Raises:
            BaseException: The answer is an exception.
        """
        if self.error is not None:
            raise self.error
        return self._value


AnyItem = TypeVar("AnyItem", bound=Item)


class Batcher(Generic[AnyItem]):
    """Collects items and runs batches.

    Args:
        run: Predicts a batch: one value for each item, in order. An exception as a value fails that item alone.
        batching: Size and interval, and what to do about batches that fail.
        counters: Where sizes and reasons are counted.
        failed: Told about a batch that failed as a whole, once, with whether it is split.
        settled: Given the items of a batch once all of them have their answers. The next batch waits for it.
    """

    def __init__(
        self,
        run: Callable[[list[AnyItem]], Sequence[Any]],
        batching: Batching,
        counters: Counters,
        failed: Callable[[BaseException, Sequence[AnyItem], bool], None],
        settled: Callable[[Sequence[AnyItem]], None],
    ) -> None:
        self._run = run
        self._size = batching.max_batch_size
        self._interval = batching.batch_interval
        self._splits = batching.splits
        self._counters = counters
        self._failed = failed
        self._settled = settled
        self._waiting: deque[AnyItem] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._idle = False
        self._gap = _FIRST_GAP
        self._last_arrival = 0.0
        self._typical_run = 0.0

    def submit(self, item: AnyItem) -> None:
        """Hand an item over (from any thread)."""
        with self._changed:
            if item.withdrawn:
                return
            gap, self._last_arrival = item.arrived - self._last_arrival, item.arrived
            if self._waiting:  # a gap between items of one batch; pauses between batches say nothing about the flow
                self._gap += (gap - self._gap) * _SMOOTHING
            self._waiting.append(item)
            if self._idle:
                self._changed.notify()

    def withdraw(self, item: AnyItem) -> None:
        """Have an item not predicted, which was answered otherwise or abandoned (from any thread)."""
        with self._changed:
            item.withdrawn = True
            with suppress(ValueError):
                self._waiting.remove(item)

    def run_batch(self) -> None:
        """Wait for a batch, and run it (on the predictor's own thread)."""
        claimed = [item for item in self._collect() if item.claim()]
        if alive := self._in_time(claimed):
            self._predict(alive)
        self._settled(claimed)

    def _collect(self) -> list[AnyItem]:
        with self._changed:
            self._idle = True
            while (why := self._why_now()) is None:
                self._changed.wait(self._pause())
            self._idle = False
            batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
        self._counters.count(f"Batches{why.value}")
        return batch

    def _why_now(self) -> Why | None:
        if len(self._waiting) >= self._size:
            return Why.FULL
        if not self._waiting:
            return None
        now = time.perf_counter()
        if now >= self._waiting[0].arrived + self._interval:
            return Why.INTERVAL
        if now >= self._first_deadline():
            return Why.DEADLINE
        return Why.QUIET if now >= self._quiet_at() else None

    def _pause(self) -> float | None:
        """Seconds until there may be a reason to dispatch; None if there is none without another item."""
        if not self._waiting:
            return None
        until = min(self._waiting[0].arrived + self._interval, self._first_deadline(), self._quiet_at())
        return max(0.0, until - time.perf_counter())

    def _quiet_at(self) -> float:
        return self._last_arrival + max(_SHORTEST_QUIET, self._gap * _QUIET_GAPS)

    def _first_deadline(self) -> float:
        """When the batch must start for every item to be in time."""
        deadlines = [item.deadline for item in self._waiting if item.deadline is not None]
        return min(deadlines) - self._typical_run if deadlines else float("inf")

    def _in_time(self, batch: list[AnyItem]) -> list[AnyItem]:
        """Those items of a batch whose deadlines have not passed; the others are settled."""
        now = time.perf_counter()
        alive = []
        for item in batch:
            if item.deadline is not None and item.deadline < now:
                item.settle(error=Expired())
            else:
                item.dispatched = now
                alive.append(item)
        return alive

    def _predict(self, batch: list[AnyItem]) -> None:
        self._counters.observe(BATCH_SIZE_METRIC, len(batch), "Count")
        start = time.perf_counter()
        error = self._run_and_settle(batch)
        if error is None:
            self._typical_run += (time.perf_counter() - start - self._typical_run) * _SMOOTHING
        elif len(batch) == 1 and not isinstance(error, UnsupportedResult):
            batch[0].settle(error=error)
        else:
            self._settle_failed(batch, error)

    def _settle_failed(self, batch: list[AnyItem], error: BaseException) -> None:
        """Settle items whose batch failed as a whole."""
        # A result that cannot be split into answers says nothing about any one item: predict does not know batches.
        splits = self._splits and isinstance(error, Exception) and not isinstance(error, UnsupportedResult)
        self._failed(error, batch, splits)
        if splits:
            self._counters.count("BatchesSplit")
        for item in batch:
            if not splits:
                item.settle(error=BatchFailed())
            elif item.deadline is not None and item.deadline < time.perf_counter():
                item.settle(error=Expired())
            elif (own := self._run_alone(item)) is not None:
                item.settle(error=own)

    def _run_alone(self, item: AnyItem) -> BaseException | None:
        try:
            item.renew()
        except Exception as error:
            return error
        return self._run_and_settle([item])

    def _run_and_settle(self, batch: list[AnyItem]) -> BaseException | None:
        """Predict items; settle them, or return the exception of all of them."""
        try:
            values = list(self._run(batch))
            if len(values) != len(batch):
                raise UnsupportedResult(f"predict returned {len(values)} values for a batch of {len(batch)}")
        except BaseException as error:
            return error
        for item, value in zip(batch, values, strict=True):
            if isinstance(value, BaseException):
                item.settle(error=value)
            else:
                item.settle(value)
        return None
