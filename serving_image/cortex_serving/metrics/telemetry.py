"""What a worker process measures about its requests: metrics every ten seconds, and the access log."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import orjson

from cortex_serving.exchange import Exchange
from cortex_serving.logs.capture import LineWriter
from cortex_serving.logs.lines import iso
from cortex_serving.metrics.emf import REPORT_SECONDS, Metric, emf_line
from cortex_serving.metrics.histogram import Histogram

FLUSH_SECONDS = 0.25  # access lines are written together: one write for many requests
_FLUSH_LINES = 256


_STATUS_CLASSES = tuple(f"Responses{hundreds}XX" for hundreds in range(10))
_MAX_PREFIXES = 512


class Counters:
    """Sums and distributions since the last report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, float] = {}
        self._histograms: dict[str, tuple[str, Histogram]] = {}

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a sum."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount

    def observe(self, name: str, value: float, unit: str) -> None:
        """Add a value to a distribution."""
        with self._lock:
            self._histogram(name, unit).add(value)

    def request(self, status: int, latency: float, queue: float) -> None:
        """A finished request: its status and, in seconds, its latency and the part of it spent waiting."""
        name = _STATUS_CLASSES[status // 100]
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            self._histogram("Latency", "Milliseconds").add(latency * 1000)
            self._histogram("QueueTime", "Milliseconds").add(queue * 1000)

    def take(self) -> list[Metric]:
        """Everything since the last call."""
        with self._lock:
            counts, self._counts = self._counts, {}
            histograms, self._histograms = self._histograms, {}
        metrics = [Metric(name, value) for name, value in counts.items()]
        metrics += [Metric(name, histogram.report(), unit) for name, (unit, histogram) in histograms.items()]
        return metrics

    def _histogram(self, name: str, unit: str) -> Histogram:
        entry = self._histograms.get(name)
        if entry is None:
            entry = self._histograms[name] = (unit, Histogram())
        return entry[1]


class Telemetry:
    """Measures one worker process.

    Args:
        dimensions: Those of the API's metrics.
        writer: Where lines go.
        worker: Number of this worker.
        access_log: Share of requests that get an access line, 0 to 1.
    """

    def __init__(self, dimensions: Mapping[str, str], writer: LineWriter, worker: int, access_log: float) -> None:
        self._dimensions = dimensions
        self._writer = writer
        self._worker = worker
        self._share = access_log
        self._due = 0.0
        self._lines: deque[bytes] = deque()  # appended to by every thread, emptied by one at a time
        self._flushing = threading.Lock()
        self._second = (0, "")
        self._prefixes: dict[tuple[int, str, str], str] = {}  # what lines about the same path have in common
        self.counters = Counters()
        self.sources: list[Callable[[], list[bytes]]] = []

    def start(self) -> None:
        """Begin to report."""
        threading.Thread(target=self._run, name="telemetry", daemon=True).start()

    def finished(self, exchange: Exchange, status: int) -> None:
        """A request has been answered."""
        latency = time.perf_counter() - exchange.ticket.arrived
        self.counters.request(status, latency, exchange.queue)
        self._due += self._share
        if self._due >= 1:
            self._due -= 1
            self._lines.append(self._access_line(exchange, status, latency))
            if len(self._lines) >= _FLUSH_LINES:
                self._write_access_lines()

    def report(self) -> None:
        """Write metrics and access lines now."""
        self._write_access_lines()
        metrics = self.counters.take()
        lines = [emf_line(self._dimensions, metrics)] if metrics else []
        for source in self.sources:
            lines += source()
        if lines:
            self._writer.write(b"\n".join(lines))

    def _run(self) -> None:
        due = time.monotonic() + REPORT_SECONDS
        while True:
            time.sleep(FLUSH_SECONDS)
            self._write_access_lines()
            if time.monotonic() >= due:
                due += REPORT_SECONDS
                self.report()

    def _write_access_lines(self) -> None:
        with self._flushing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            self._writer.write(b"\n".join(lines))

    def _access_line(self, exchange: Exchange, status: int, latency: float) -> bytes:
        """The line, written by hand: it is the only one whose cost is felt."""
        now = time.time()
        whole = int(now)
        if self._second[0] != whole:
            self._second = (whole, iso(whole)[:-4])
        key = (status, exchange.method, exchange.path)
        what = self._prefixes.get(key)
        if what is None:
            what = orjson.dumps(f"{status} {exchange.method} {exchange.path}").decode()[:-1]
            if len(self._prefixes) < _MAX_PREFIXES:
                self._prefixes[key] = what
        return (
            f'{{"time":"{self._second[1]}{int((now - whole) * 1000):03d}Z","level":"INFO",'
            f'"message":{what} {latency * 1000:.1f} ms",'
            f'"worker":{self._worker},"request_id":"{exchange.request_id}","source":"access",'
            f'"status":{status},"ms":{latency * 1000:.3f}}}'
        ).encode()
