"""The worker's end of the log pipeline: turns ``logging`` and ``print`` into JSON lines on a pipe to the supervisor.

C libraries and faulthandler write to file descriptors 1 and 2, which are pipes to the supervisor as well.
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
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

from cortex_serving.contract import METRICS_FIELD
from cortex_serving.logs.lines import last_state, lines
from cortex_serving.logs.traceback_text import traceback_text

PROGRESS_SECONDS = 5.0  # how often the state of a progress bar is logged, besides its end
_LONGEST_PENDING = 64 * 1024  # characters of an unfinished line; a longer one is logged at once
_OF_RECORDS = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}  # the last since Python 3.12
# Names of fields that readers of lines, or the functions that write lines, give a meaning.
_TAKEN = {"time", "level", "source", "logger", "created", "worker", "request_id", "part", "event", "traceback"}
_TAKEN |= {"replica", "revision", METRICS_FIELD, "self"}


class _Current(threading.local):
    request_id: str | None = None


current = _Current()
"""The id of the request that this thread works on."""


class LineWriter:
    """Writes whole lines to the supervisor.

    Args:
        descriptor: File descriptor of the pipe.
        worker: Number of this worker, which each line names.
    """

    def __init__(self, descriptor: int, worker: int) -> None:
        self._descriptor = descriptor
        self._worker = worker
        self._lock = threading.Lock()
        self._forked = False
        os.register_at_fork(after_in_parent=self._after_fork, after_in_child=self._after_fork_in_child)

    def write(self, content: bytes) -> None:
        """Write one line, or several joined by newlines, without lines of others in between."""
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
        """Log a message, with the number of this worker and the request that this thread works on."""
        for content in lines(level, message, worker=self._worker, request_id=current.request_id, **fields):
            self.write(content)

    def _share(self, operation: int) -> None:
        """Lock or unlock the pipe against other processes, if the system can lock pipes."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._descriptor, operation)

    def _after_fork(self) -> None:
        self._forked = True  # several processes write to the pipe from here on

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()  # a thread that does not exist in the child may have held the old one
        self._forked = True


class LineHandler(logging.Handler):
    """Writes ``logging`` records as lines."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. If the record cannot be formatted, write the place of the call and the reason."""
        level, message = record.levelname, ""
        try:
            message = record.getMessage()
        except Exception as error:
            level, message = "ERROR", _unformatted(record, error)
        try:
            if record.exc_info:
                message = f"{message}\n{traceback_text(*record.exc_info)}"
            if record.stack_info:
                message = f"{message}\n{record.stack_info}"
            own = {"source": "log", "logger": record.name, "created": record.created}
            self._writer.log(level, message.rstrip("\n"), **own, **_extra(record))
        except Exception:
            self.handleError(record)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields that the caller gave besides the message (``extra``)."""
    given = {str(name): value for name, value in vars(record).items() if name not in _OF_RECORDS}
    return {f"extra_{name}" if name in _TAKEN else name: value for name, value in given.items()}


def _unformatted(record: logging.LogRecord, error: Exception) -> str:
    place = f'File "{record.pathname}", line {record.lineno}, in {record.funcName}'
    try:
        return f"{place}: cannot log {record.msg!r} with {record.args!r}: {type(error).__name__}: {error}"
    except Exception:  # the arguments have no repr either
        return f"{place}: cannot log: {type(error).__name__}"


class _Unfinished:
    """The unfinished line of a thread. The line is logged when the thread ends, because no other thread goes on."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.text = ""
        self._log = log
        self._shown = float("-inf")

    def overwrite(self, text: str) -> str:
        """Return the last state of a progress bar, and log the bar now and then."""
        now = time.monotonic()
        if not self.text:  # the bar is new, and may end soon
            self._shown = now
        elif now - self._shown > PROGRESS_SECONDS:
            self._shown = now
            self._log(text)
        return text[text.rstrip("\r").rfind("\r") + 1 :]

    def finish(self) -> None:
        """Log the line as it is."""
        text, self.text = self.text, ""
        self._log(text)

    __del__ = finish


class PrintStream(io.TextIOBase):
    """Replaces ``sys.stdout`` and ``sys.stderr``: logs each line, and keeps the pieces of a thread's line together.

    Args:
        writer: Writes log lines.
        source: ``stdout`` or ``stderr``.
        descriptor: The stream's real file descriptor.
    """

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
        """Collect text, and log every finished line."""
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
        """Do nothing: only an unfinished line waits, for its end."""

    def finish(self) -> None:
        """Log unfinished lines, because this process ends."""
        for pending in list(self._unfinished):
            pending.finish()

    def reconfigure(self, **options: Any) -> None:
        """Accept the options of other text streams, and ignore them."""

    def fileno(self) -> int:
        """Return the real descriptor, for faulthandler and child processes."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return False: the stream is no terminal."""
        return False

    def writable(self) -> bool:
        """Return True."""
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
    """Write an exception that nobody caught to the real standard error: the process may end before a line is sent."""
    text = f"{traceback_text(kind, error, frames)}\n"
    os.write(2, text.encode("utf-8", "backslashreplace"))


def _report_ignored(writer: LineWriter, given: sys.UnraisableHookArgs) -> None:
    """Log an exception that Python ignores (in ``__del__``, at exit) as one record, not one line for each frame."""
    text = traceback_text(given.exc_type, given.exc_value, given.exc_traceback)
    writer.log("ERROR", f"{given.err_msg or 'Exception ignored in'}: {given.object!r}\n{text}", source="stderr")


def install(writer: LineWriter) -> Callable[[], None]:
    """Send this process's ``logging``, ``print`` and standard error through the writer.

    Args:
        writer: Writes log lines.

    Returns:
        A function to call when the process ends: it logs unfinished lines.
    """
    out, error = PrintStream(writer, "stdout", 1), PrintStream(writer, "stderr", 2)
    sys.stdout, sys.stderr = out, error
    sys.excepthook = _report_crash
    sys.unraisablehook = lambda given: _report_ignored(writer, given)
    threading.excepthook = lambda given: _report_crash(given.exc_type, given.exc_value, given.exc_traceback)
    root = logging.getLogger()
    root.handlers[:] = [LineHandler(writer)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)  # one record for each warning, not several lines of standard error
    for chatty in ("botocore", "boto3", "urllib3", "waitress.queue"):
        logging.getLogger(chatty).setLevel(logging.ERROR)

    def finish() -> None:
        out.finish()
        error.finish()

    return finish
