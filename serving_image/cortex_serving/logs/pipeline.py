"""The supervisor's end of the log pipeline: passes every line on to standard output, and to CloudWatch if asked."""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Any

from cortex_serving.logs.cloudwatch import Shipper
from cortex_serving.logs.lines import line, lines

_MAX_CHUNKS = 10_000
_MAX_BYTES = 64 * 1024 * 1024


class Pipeline:
    """Passes lines on, without ever blocking the supervisor.

    Args:
        shipper: Sends lines to CloudWatch, or None.
        output: File descriptor of standard output.
    """

    def __init__(self, shipper: Shipper | None, output: int = 1) -> None:
        self._shipper = shipper
        self._output = output
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_MAX_CHUNKS)
        self._waiting = 0  # bytes
        self._lock = threading.Lock()
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log-output", daemon=True)
        self._thread.start()

    def log(self, level: str, message: str, **fields: Any) -> None:
        """Log a message of the supervisor."""
        self.lines(lines(level, message, source="replica", **fields))

    def lines(self, lines: list[bytes]) -> None:
        """Pass on JSON lines, given without newlines."""
        if self._shipper is not None:
            now = time.time()
            for content in lines:
                self._shipper.offer(now, content)
        chunk = b"\n".join(lines) + b"\n"
        try:
            if self._waiting > _MAX_BYTES:
                raise queue.Full
            self._chunks.put_nowait(chunk)
            self._count(len(chunk))
        except queue.Full:  # the reader of standard output has stopped reading
            self._dropped += len(lines)

    def close(self, timeout: float) -> None:
        """Write and send the waiting lines, for at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        if self._shipper is not None:
            self._shipper.close(timeout)
        try:
            self._chunks.put(None, timeout=max(0.0, deadline - time.monotonic()))
        except queue.Full:
            return
        self._thread.join(max(0.1, deadline - time.monotonic()))

    def _count(self, size: int) -> None:
        with self._lock:
            self._waiting += size

    def _write(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._count(-len(chunk))
            if self._dropped:
                message = f"{self._dropped} log lines were dropped: standard output was not read"
                chunk = line("WARNING", message, dropped=self._dropped) + b"\n" + chunk
                self._dropped = 0
            try:
                _write_all(self._output, chunk)
            except OSError:
                continue  # standard output was closed: keep serving


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
