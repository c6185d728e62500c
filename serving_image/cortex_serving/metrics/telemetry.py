"""Measures the requests of a worker process: metrics every ten seconds, and the access log.

An answered request is only noted. Notes are processed some dozens at a time, which costs a fraction of processing them
one by one. The thread that adds the last note of a batch processes the batch: a background thread would compete with
requests for the interpreter for as long as it has work.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import orjson

from cortex_serving.contract import KEY_DIMENSION, KEY_METRIC, QUEUE_TIME_METRIC, REPORT_SECONDS
from cortex_serving.logs.capture import LineWriter
from cortex_serving.logs.lines import iso
from cortex_serving.metrics.emf import Metric, emf_line
from cortex_serving.metrics.histogram import Histogram
from cortex_serving.request_context import Exchange, Verdict

CLIENT_CLOSED_REQUEST = 499  # nginx's status for its log: the client went away without an answer
FLUSH_SECONDS = 0.25  # access lines wait so long, so that one write serves many requests
_NOTES = 64  # answered requests that are processed together
_LINES = 256  # access lines that are written together: about as many as a pipe holds, so that a write does not block

_STATUS_CLASSES = tuple(f"Responses{hundreds}XX" for hundreds in range(10))
_MAX_PREFIXES = 512


class Counters:
    """Sums and distributions since the last report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, float] = {}
        self._histograms: dict[str, tuple[str, Histogram]] = {}
        self._keys: dict[str, int] = {}

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a sum."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount

    def observe(self, name: str, value: float, unit: str) -> None:
        """Add a value to a distribution."""
        with self._lock:
            self._histogram(name, unit).add(value)

    def requests(self, exchanges: Sequence[Exchange]) -> None:
        """Count finished requests: statuses, latencies and times in the queue. Abandoned ones are counted only."""
        answered = [exchange for exchange in exchanges if exchange.verdict is not Verdict.ABANDONED]
        if abandoned := len(exchanges) - len(answered):
            self.count("Abandoned", abandoned)
        if not answered:
            return
        latencies = [(exchange.answered - exchange.arrived) * 1000 for exchange in answered]
        queued = [(exchange.queue + (exchange.batch or 0.0)) * 1000 for exchange in answered]
        with self._lock:
            for exchange in answered:
                name = _STATUS_CLASSES[exchange.status // 100]
                self._counts[name] = self._counts.get(name, 0) + 1
                if exchange.key:
                    self._keys[exchange.key] = self._keys.get(exchange.key, 0) + 1
            self._histogram("Latency", "Milliseconds").add(*latencies)
            self._histogram(QUEUE_TIME_METRIC, "Milliseconds").add(*queued)

    def take(self) -> list[Metric]:
        """Return the metrics since the last call."""
        with self._lock:
            counts, self._counts = self._counts, {}
            histograms, self._histograms = self._histograms, {}
        metrics = [Metric(name, value) for name, value in counts.items()]
        metrics += [Metric(name, histogram.report(), unit) for name, (unit, histogram) in histograms.items()]
        return metrics

    def take_keys(self) -> dict[str, int]:
        """Return the requests since the last call by the names of their API keys."""
        with self._lock:
            keys, self._keys = self._keys, {}
        return keys

    def _histogram(self, name: str, unit: str) -> Histogram:
        entry = self._histograms.get(name)
        if entry is None:
            entry = self._histograms[name] = (unit, Histogram())
        return entry[1]


class Telemetry:
    """Measures one worker process.

    Args:
        dimensions: Dimensions of the API's metrics.
        writer: Writes log lines.
        worker: Number of this worker.
        access_log: Share of requests that get an access line, 0 to 1.

    Attributes:
        counters: Sums and distributions of this process.
        sources: Functions that return further log lines for each report.
    """

    def __init__(self, dimensions: Mapping[str, str], writer: LineWriter, worker: int, access_log: float) -> None:
        self._dimensions = dimensions
        self._writer = writer
        self._worker = worker
        self._share = access_log
        self._due = 0.0
        self._notes: deque[Exchange] = deque()  # appended to by every thread, emptied by one at a time
        self._lines: list[str] = []
        self._working_off = threading.Lock()
        self._second = (0, "")
        self._prefixes: dict[tuple[int, str, str], str] = {}  # beginnings of messages by status, method and path
        self.counters = Counters()
        self.sources: list[Callable[[], list[bytes]]] = []

    def start(self) -> None:
        """Start the thread that reports."""
        threading.Thread(target=self._run, name="telemetry", daemon=True).start()

    def finished(self, exchange: Exchange) -> None:
        """Note a request that has been answered."""
        exchange.answered = time.perf_counter()
        self._notes.append(exchange)
        if len(self._notes) >= _NOTES:
            self._work_off()

    def report(self) -> None:
        """Write metrics and access lines now."""
        self._work_off(flush=True)
        metrics = self.counters.take()
        lines = [emf_line(self._dimensions, metrics)] if metrics else []
        for key, requests in self.counters.take_keys().items():
            lines.append(emf_line({**self._dimensions, KEY_DIMENSION: key}, [Metric(KEY_METRIC, requests)]))
        for source in self.sources:
            lines += source()
        if lines:
            self._writer.write(b"\n".join(lines))

    def _run(self) -> None:
        due = time.monotonic() + REPORT_SECONDS
        while True:
            time.sleep(FLUSH_SECONDS)
            self._work_off(flush=True)
            if time.monotonic() >= due:
                due += REPORT_SECONDS
                self.report()

    def _work_off(self, *, flush: bool = False) -> None:
        with self._working_off:
            exchanges = [self._notes.popleft() for _ in range(len(self._notes))]
            if exchanges:
                self.counters.requests(exchanges)
                offset = time.time() - time.perf_counter()
                self._lines += [self._access_line(exchange, offset) for exchange in exchanges if self._is_due()]
            if self._lines and (flush or len(self._lines) >= _LINES):
                lines, self._lines = self._lines, []
                self._writer.write("\n".join(lines).encode())

    def _is_due(self) -> bool:
        """Return whether the next request gets an access line."""
        self._due += self._share
        if self._due < 1:
            return False
        self._due -= 1
        return True

    def _access_line(self, exchange: Exchange, offset: float) -> str:
        """Write an access line, by hand because these are the only lines whose cost matters.

        Args:
            exchange: The request.
            offset: ``time.time()`` minus ``time.perf_counter()``, in seconds.
        """
        now = exchange.answered + offset
        whole = int(now)
        if self._second[0] != whole:
            self._second = (whole, iso(whole)[:-4])
        key = (exchange.status, exchange.method, exchange.path)
        what = self._prefixes.get(key)
        if what is None:
            what = orjson.dumps(" ".join(map(str, key))).decode()[:-1]
            if len(self._prefixes) < _MAX_PREFIXES:
                self._prefixes[key] = what
        by = f'"key":"{exchange.key}",' if exchange.key else ""
        ms = f"{(exchange.answered - exchange.arrived) * 1000:.3f}"
        return (
            f'{{"time":"{self._second[1]}{int((now - whole) * 1000):03d}Z","level":"INFO","message":{what} {ms} ms",'
            f'"worker":{self._worker},"request_id":"{exchange.request_id}","source":"access",{by}'
            f'"status":{exchange.status},"ms":{ms}}}'
        )
