"""Batches of calls: threads that call a model at the same time share one run of the model.

TensorFlow Serving did this for Cortex's ``tensorflow_client`` (``server_side_batching`` of TensorFlowPredictors):
``predict`` gets one payload, and what concurrent calls hand to the client is put together along the first axis.
Source: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/batching/README.md

No thread of its own: the first caller of a batch waits for the others and runs the model for all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from cortex_serving.contract import BATCH_SIZE_METRIC
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.spec import Batching

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")


class _Call(Generic[InputT, ResultT]):
    """One call, and its result once it is known."""

    def __init__(self, given: InputT, rows: int) -> None:
        self.given = given
        self.rows = rows
        self.done = threading.Event()
        self.result: ResultT | None = None
        self.error: BaseException | None = None


class _Open(Generic[InputT, ResultT]):
    """A batch that still takes calls."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.calls: list[_Call[InputT, ResultT]] = []
        self.rows = 0


class CallBatcher(Generic[InputT, ResultT]):
    """Puts concurrent calls together.

    Args:
        run: Runs a model for the inputs of a batch, and returns one result for each, in order.
        batching: ``max_batch_size`` counts rows. A call with more rows is a batch by itself.
        callers: Threads that can call at the same time: once all of them wait, nobody else can come.
        counters: Where sizes and reasons are counted.
    """

    def __init__(
        self,
        run: Callable[[Sequence[InputT]], Sequence[ResultT]],
        batching: Batching,
        callers: int,
        counters: Counters,
    ) -> None:
        self._run = run
        self._size = batching.max_batch_size
        self._interval = batching.batch_interval
        self._callers = callers
        self._counters = counters
        self._changed = threading.Condition()
        self._open: dict[Hashable, _Open[InputT, ResultT]] = {}

    def __call__(self, key: Hashable, given: InputT, rows: int) -> ResultT:
        """Run the model for this input, together with others.

        Args:
            key: Only inputs of equal keys fit together.
            given: The input.
            rows: Its length along the first axis.

        Returns:
            The result of this input.

        Raises:
            Exception: What running the model with this input raises.
        """
        call: _Call[InputT, ResultT] = _Call(given, rows)
        batch = self._join(key, call)
        if batch is None:
            call.done.wait()
        else:
            self._lead(key, batch)
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]

    def _join(self, key: Hashable, call: _Call[InputT, ResultT]) -> _Open[InputT, ResultT] | None:
        """Add a call to the open batch. Returns the batch if this call begins it, and must run it."""
        with self._changed:
            batch = self._open.get(key)
            if batch is not None and batch.rows + call.rows > self._size:
                self._open.pop(key)  # its first caller runs it now; this call begins the next one
                self._changed.notify_all()
                batch = None
            leads = batch is None
            if batch is None:
                batch = self._open[key] = _Open(time.perf_counter() + self._interval)
            batch.calls.append(call)
            batch.rows += call.rows
            self._changed.notify_all()
            return batch if leads else None

    def _lead(self, key: Hashable, batch: _Open[InputT, ResultT]) -> None:
        """Wait until a batch is full, its time is over, or no other thread is left; then run it."""
        with self._changed:
            reason = "Full"
            while self._open.get(key) is batch and batch.rows < self._size and not self._all_wait():
                left = batch.until - time.perf_counter()
                if left <= 0:
                    reason = "Interval"
                    break
                self._changed.wait(left)
            if self._open.get(key) is batch:
                self._open.pop(key)
        self._counters.count(f"Batches{reason}")
        self._counters.observe(BATCH_SIZE_METRIC, len(batch.calls), "Count")
        self._run_all(batch.calls)

    def _all_wait(self) -> bool:
        return sum(len(batch.calls) for batch in self._open.values()) >= self._callers

    def _run_all(self, calls: Sequence[_Call[InputT, ResultT]]) -> None:
        """Run calls together; one after the other if that fails, so that each gets the error of its own input."""
        try:
            results = self._run([call.given for call in calls])
            for call, result in zip(calls, results, strict=True):
                call.result = result
        except BaseException as error:  # whatever it was: the other callers wait
            if len(calls) == 1:
                calls[0].error = error
            else:
                for call in calls:
                    self._run_all([call])
        for call in calls:
            call.done.set()
