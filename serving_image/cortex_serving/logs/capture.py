"""A worker's end of the log pipeline: ``logging`` and ``print`` become JSON lines on a pipe to the supervisor.

What bypasses Python (C libraries, faulthandler) goes to file descriptors 1 and 2, which are pipes as well.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from cortex_serving.logs.lines import line


class _Current(threading.local):
    request_id: str | None = None


current = _Current()
"""The request that this thread works on."""


class LineWriter:
    """Writes whole lines to the supervisor.

    Args:
        descriptor: The pipe.
        worker: Number of this worker, for the lines.
    """

    def __init__(self, descriptor: int, worker: int) -> None:
        self._descriptor = descriptor
        self._worker = worker
        self._lock = threading.Lock()

    def write(self, content: bytes) -> None:
        """Write a line, or several joined by newlines, whole."""
        view = memoryview(content + b"\n")
        with self._lock:
            while view:
                view = view[os.write(self._descriptor, view) :]

    def log(self, level: str, message: str, **fields: Any) -> None:
        """Log something, with the number of this worker and the request that this thread works on."""
        self.write(line(level, message, worker=self._worker, request_id=current.request_id, **fields))


class LineHandler(logging.Handler):
    """``logging`` records as lines."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a record that cannot be formatted is reported by ``logging`` itself."""
        try:
            message = record.getMessage()
            if record.exc_info:
                message = f"{message}\n{''.join(traceback.format_exception(*record.exc_info)).rstrip()}"
            self._writer.log(record.levelname, message, source="log", logger=record.name, created=record.created)
        except Exception:
            self.handleError(record)


class PrintStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` and ``sys.stderr``: a line per line, a thread's pieces kept together."""

    encoding = "utf-8"

    def __init__(self, writer: LineWriter, source: str, descriptor: int) -> None:
        self._writer = writer
        self._source = source
        self._descriptor = descriptor
        self._pending = threading.local()

    def write(self, text: str) -> int:
        """Collect text; every finished line is written."""
        pending: str = getattr(self._pending, "text", "") + text
        *lines, self._pending.text = pending.split("\n")
        for content in lines:
            if content.strip():
                self._writer.log("INFO", content.rstrip("\r"), source=self._source)
        return len(text)

    def flush(self) -> None:
        """Nothing waits but an unfinished line, which stays with its thread."""

    def fileno(self) -> int:
        """The real descriptor, for faulthandler and child processes."""
        return self._descriptor

    def isatty(self) -> bool:
        """Never a terminal."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True


def _report_crash(kind: type[BaseException], error: BaseException | None, frames: TracebackType | None) -> None:
    """An exception that nobody caught, whole and on the real standard error: it may be this process's last word."""
    os.write(2, "".join(traceback.format_exception(kind, error, frames)).encode())


def install(writer: LineWriter) -> None:
    """Send this process's ``logging``, ``print`` and standard error through the writer."""
    sys.stdout = PrintStream(writer, "stdout", 1)
    sys.stderr = PrintStream(writer, "stderr", 2)
    sys.excepthook = _report_crash
    threading.excepthook = lambda given: _report_crash(given.exc_type, given.exc_value, given.exc_traceback)
    root = logging.getLogger()
    root.handlers[:] = [LineHandler(writer)]
    root.setLevel(logging.INFO)
    for chatty in ("botocore", "boto3", "urllib3", "waitress.queue"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
