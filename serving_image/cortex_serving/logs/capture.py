"""A worker's end of the log pipeline: ``logging`` and ``print`` become JSON lines on a pipe to the supervisor.

What bypasses Python (C libraries, faulthandler) goes to file descriptors 1 and 2, which are pipes as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

from cortex_serving.contract import METRICS_FIELD
from cortex_serving.logs.lines import last_state, lines

PROGRESS_SECONDS = 5.0  # a progress bar writes over itself: its state is logged that often, and at the end
_LONGEST_PENDING = 64 * 1024  # characters of an unfinished line that wait for its end
_OF_RECORDS = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}  # the last since Python 3.12
_TAKEN = {"time", "level", "source", "logger", "created", "worker", "request_id", "part", "event", "traceback"}
_TAKEN |= {"replica", "revision", METRICS_FIELD, "self"}  # by who reads lines, and by the functions that make them


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
        self._forked = False
        os.register_at_fork(after_in_parent=self._after_fork, after_in_child=self._after_fork_in_child)

    def write(self, content: bytes) -> None:
        """Write a line, or several joined by newlines, whole."""
        view = memoryview(content + b"\n")
        with self._lock:
            if self._forked:
                self._share(fcntl.LOCK_EX)
            try:
                while view:
                    view = view[os.write(self._descriptor, view) :]
            finally:
                if self._forked:
                    self._share(fcntl.LOCK_UN)

    def log(self, level: str, message: str, **fields: Any) -> None:
        """Log something, with the number of this worker and the request that this thread works on."""
        for content in lines(level, message, worker=self._worker, request_id=current.request_id, **fields):
            self.write(content)

    def _share(self, operation: int) -> None:
        """Lock or unlock the pipe for this process, where the system locks pipes."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._descriptor, operation)

    def _after_fork(self) -> None:
        self._forked = True  # from here on the pipe has several writers

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()  # another thread, which is not here, may have held it
        self._forked = True


class LineHandler(logging.Handler):
    """``logging`` records as lines."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; of one that cannot be formatted, where it came from and why."""
        level, message = record.levelname, ""
        try:
            message = record.getMessage()
        except Exception as error:
            level, message = "ERROR", _unformatted(record, error)
        try:
            if record.exc_info:
                message = f"{message}\n{''.join(traceback.format_exception(*record.exc_info)).rstrip()}"
            if record.stack_info:
                message = f"{message}\n{record.stack_info}"
            own = {"source": "log", "logger": record.name, "created": record.created}
            self._writer.log(level, message.rstrip("\n"), **own, **_extra(record))
        except Exception:
            self.handleError(record)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller has given beside the message (``extra``)."""
    given = {str(name): value for name, value in vars(record).items() if name not in _OF_RECORDS}
    return {f"extra_{name}" if name in _TAKEN else name: value for name, value in given.items()}


def _unformatted(record: logging.LogRecord, error: Exception) -> str:
    place = f'File "{record.pathname}", line {record.lineno}, in {record.funcName}'
    try:
        return f"{place}: cannot log {record.msg!r} with {record.args!r}: {type(error).__name__}: {error}"
    except Exception:  # what was to be logged has no form at all
        return f"{place}: cannot log: {type(error).__name__}"


class _Unfinished:
    """The line that a thread has begun. It is logged when the thread ends, for nobody else goes on with it."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.text = ""
        self._log = log
        self._shown = float("-inf")

    def overwrite(self, text: str) -> str:
        """What stays of a line that has returned to its start: what was written last, which is logged now and then."""
        now = time.monotonic()
        if not self.text:  # the bar is new, and may be done at once
            self._shown = now
        elif now - self._shown > PROGRESS_SECONDS:
            self._shown = now
            self._log(text)
        return text[text.rstrip("\r").rfind("\r") + 1 :]

    def finish(self) -> None:
        """Log it as it is."""
        text, self.text = self.text, ""
        self._log(text)

    __del__ = finish


class PrintStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` and ``sys.stderr``: a line per line, a thread's pieces kept together."""

    encoding = "utf-8"
    errors = "backslashreplace"
    mode = "w"

    def __init__(self, writer: LineWriter, source: str, descriptor: int) -> None:
        self.name = f"<{source}>"
        self.buffer = open(descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115 - for the process's life
        self._writer = writer
        self._source = source
        self._descriptor = descriptor
        self._pending = threading.local()
        self._unfinished: weakref.WeakSet[_Unfinished] = weakref.WeakSet()

    def write(self, text: str) -> int:
        """Collect text; every finished line is written."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        pending = self._own()
        *finished, rest = (pending.text + text).split("\n")
        if "\r" in rest:
            rest = pending.overwrite(rest)
        if len(rest) > _LONGEST_PENDING:
            finished, rest = [*finished, rest], ""
        pending.text = rest
        for content in finished:
            self._log(content)
        return len(text)

    def flush(self) -> None:
        """Nothing waits but an unfinished line, which stays with its thread."""

    def finish(self) -> None:
        """Log unfinished lines: this process ends."""
        for pending in list(self._unfinished):
            pending.finish()

    def reconfigure(self, **options: Any) -> None:
        """As of other text streams; there is nothing to choose."""

    def fileno(self) -> int:
        """The real descriptor, for faulthandler and child processes."""
        return self._descriptor

    def isatty(self) -> bool:
        """Never a terminal."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True

    def _own(self) -> _Unfinished:
        pending: _Unfinished | None = getattr(self._pending, "line", None)
        if pending is None:
            self._pending.line = pending = _Unfinished(self._log)
            self._unfinished.add(pending)
        return pending

    def _log(self, content: str) -> None:
        if content.strip():
            self._writer.log("INFO", last_state(content), source=self._source)


def _report_crash(kind: type[BaseException], error: BaseException | None, frames: TracebackType | None) -> None:
    """An exception that nobody caught, whole and on the real standard error: it may be this process's last word."""
    text = "".join(traceback.format_exception(kind, error, frames))
    os.write(2, text.encode("utf-8", "backslashreplace"))


def _report_ignored(writer: LineWriter, given: sys.UnraisableHookArgs) -> None:
    """An exception that Python goes on after (in ``__del__``, at the end), as one record instead of a line a frame."""
    text = "".join(traceback.format_exception(given.exc_type, given.exc_value, given.exc_traceback)).rstrip()
    writer.log("ERROR", f"{given.err_msg or 'Exception ignored in'}: {given.object!r}\n{text}", source="stderr")


def install(writer: LineWriter) -> Callable[[], None]:
    """Send this process's ``logging``, ``print`` and standard error through the writer.

    Returns:
        What to call at the end, for lines that were begun only.
    """
    out, error = PrintStream(writer, "stdout", 1), PrintStream(writer, "stderr", 2)
    sys.stdout, sys.stderr = out, error
    sys.excepthook = _report_crash
    sys.unraisablehook = lambda given: _report_ignored(writer, given)
    threading.excepthook = lambda given: _report_crash(given.exc_type, given.exc_value, given.exc_traceback)
    root = logging.getLogger()
    root.handlers[:] = [LineHandler(writer)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)  # a record each, instead of lines of standard error
    for chatty in ("botocore", "boto3", "urllib3", "waitress.queue"):
        logging.getLogger(chatty).setLevel(logging.ERROR)

    def finish() -> None:
        out.finish()
        error.finish()

    return finish
