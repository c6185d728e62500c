"""The supervisor's side of one worker process: its start, its pipes, its orders."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex_serving.contract import MAX_LOG_LINE_BYTES, Variable
from cortex_serving.replica.child_processes import end_group
from cortex_serving.shared_state import Board

_READ_BYTES = 256 * 1024
_MOST_LAST_READS = 64  # a child of a dead worker may hold the worker's pipes, and go on writing

# Not with -m: multiprocessing imports the main module again in the processes that it starts afresh. The folder that
# cortex-serve was started in is no place to import from: nobody else's replicas have it.
_START = "import sys; sys.path[:] = filter(None, sys.path); from cortex_serving.replica.worker import main; main()"


@dataclass(frozen=True)
class WorkerArguments:
    """Descriptors and settings for a worker, handed over as JSON in the environment variable ``CORTEX_WORKER``.

    Attributes:
        index: Number of the worker, from 0.
        workers: How many workers the replica has.
        listener: Descriptor of the listening socket.
        board: Descriptor of the shared memory.
        control: Descriptor of the socket for orders and answers.
        lines: Descriptor of the pipe for log lines.
        inbox: Descriptor of the socket on which connections are passed on to the worker.
        outboxes: Descriptors of the sending ends of all inboxes, by the workers' numbers.
        spec: File with the API's specification as JSON.
        revision: The API's deployed version.
        fast: Whether HTTP is served with fast paths.
        client_timeout: Seconds that a client may do nothing in the middle of a request or an answer.
    """

    index: int
    workers: int
    listener: int
    board: int
    control: int
    lines: int
    inbox: int
    outboxes: tuple[int, ...]
    spec: str
    revision: str
    fast: bool
    client_timeout: float

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Everything that is handed over open."""
        return (self.listener, self.board, self.control, self.lines, self.inbox, *self.outboxes)


class Inboxes:
    """A pair of sockets per worker through which connections are passed on to it (``server.connection_passing``).

    Args:
        workers: How many workers the replica has.
    """

    def __init__(self, workers: int) -> None:
        self._pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(workers)]
        for ends in self._pairs:
            for end in ends:
                end.setblocking(False)

    def receiver(self, index: int) -> int:
        """Descriptor of a worker's receiving end."""
        return self._pairs[index][0].fileno()

    def give(self, index: int, connection: socket.socket) -> bool:
        """Pass a connection on, of which nothing was read yet; the caller closes its own descriptor.

        Returns:
            False if the inbox is full.
        """
        try:
            socket.send_fds(self._pairs[index][1], [bytes([0])], [connection.fileno()])
        except OSError:
            return False
        return True

    def senders(self) -> tuple[int, ...]:
        """Descriptors of all sending ends."""
        return tuple(sender.fileno() for _, sender in self._pairs)


def listen(host: str, port: int) -> socket.socket:
    """Listen on the address that all workers of the replica share.

    Raises:
        OSError: The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host.strip("[]"), port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def cannot_listen(host: str, port: int, error: OSError, *, offers_another: bool) -> str:
    """Say why ``listen`` failed, and what to do about a port that is taken or not allowed, where a person chose it."""
    other = offers_another and error.errno in (errno.EADDRINUSE, errno.EACCES)
    hint = f" (--listen {host}:0 takes a free port)" if other else ""
    return f"cannot listen on {host}:{port}: {error.strerror or error}{hint}"


class WorkerProcess:
    """A running worker.

    Args:
        index: Its number, from 0.
        board: The replica's shared memory.
        listener: The listening socket.
        inboxes: Of all workers.
        spec: File with the API's specification as JSON.
        revision: The API's deployed version.
        fast: Whether HTTP is served with fast paths.
        client_timeout: Seconds that a client may do nothing in the middle of a request or an answer.
        environ: The worker's environment.

    Attributes:
        process: The process.
        control: Socket for orders and answers.
        lines: Pipe with its log lines.
        raw: Pipes of its standard output and error, by their names.
        kill_at: When it is killed if it has not ended (``time.monotonic``).
    """

    kill_at = float("inf")

    def __init__(
        self,
        index: int,
        *,
        board: Board,
        listener: socket.socket,
        inboxes: Inboxes,
        spec: str,
        revision: str,
        fast: bool,
        client_timeout: float,
        environ: Mapping[str, str],
    ) -> None:
        self.index = index
        self.control, theirs = socket.socketpair()
        (self.lines, lines), (out_read, out_write), (error_read, error_write) = os.pipe(), os.pipe(), os.pipe()
        arguments = WorkerArguments(
            index=index,
            workers=board.workers,
            listener=listener.fileno(),
            board=board.descriptor,
            control=theirs.fileno(),
            lines=lines,
            inbox=inboxes.receiver(index),
            outboxes=inboxes.senders(),
            spec=spec,
            revision=revision,
            fast=fast,
            client_timeout=client_timeout,
        )
        self.process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", _START],
            env={**environ, Variable.WORKER: json.dumps(dataclasses.asdict(arguments)), "PYTHONUNBUFFERED": "1"},
            pass_fds=arguments.descriptors,
            stdin=subprocess.DEVNULL,
            stdout=out_write,
            stderr=error_write,
        )
        theirs.close()
        for descriptor in (lines, out_write, error_write):
            os.close(descriptor)
        self.raw = {out_read: "stdout", error_read: "stderr"}
        for descriptor in (self.lines, self.control.fileno(), *self.raw):
            os.set_blocking(descriptor, False)
        self._partial: dict[int, bytes] = {}

    def order(self, **order: Any) -> None:
        """Send an order, if the worker is still there.

        Args:
            order: ``do`` and its arguments.
        """
        try:
            self.control.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            return

    def read_lines(self, descriptor: int) -> list[bytes] | None:
        """Take the whole lines that wait in a pipe or on the control socket.

        Args:
            descriptor: The pipe, or the socket.

        Returns:
            Lines without their ends; None at the end of the pipe.
        """
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            rest = self._partial.pop(descriptor, b"")
            return [rest] if rest else None
        *lines, rest = (self._partial.get(descriptor, b"") + data).split(b"\n")
        if b"\r" in rest:  # a progress bar: what it writes over is not kept
            rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :]
        if len(rest) > MAX_LOG_LINE_BYTES:  # what never ends a line must not fill the memory
            character = next((n for n in (1, 2, 3) if rest[-n] >= 0xC0), 0)  # which may have come in part
            lines, rest = [*lines, rest[: len(rest) - character]], rest[len(rest) - character :]
        self._partial[descriptor] = rest
        return lines

    def last_lines(self, descriptor: int) -> list[bytes]:
        """Take all that a dead worker left in a pipe, its last line whether that has an end or not.

        Args:
            descriptor: The pipe.
        """
        data = self._partial.pop(descriptor, b"")
        for _ in range(_MOST_LAST_READS):
            try:
                more = os.read(descriptor, _READ_BYTES)
            except OSError:  # nothing waits, but a child of the worker still holds the other end
                break
            data += more
            if not more:
                break
        *lines, rest = data.split(b"\n")
        return [*lines, rest] if rest else lines

    def abort(self) -> None:
        """End the worker, which first writes down where each of its threads is (``faulthandler``)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGABRT)

    def kill(self) -> None:
        """Kill the worker."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)

    def how_it_ended(self) -> str:
        """The worker's end in words."""
        code = self.process.returncode
        if code is not None and code < 0:
            cause = " (out of memory?)" if -code == signal.SIGKILL else ""
            return f"was ended by {signal.Signals(-code).name}{cause}"
        return f"exited with code {code}"

    def close(self) -> None:
        """End processes that the worker has left behind, and close our ends of its pipes."""
        end_group(self.process.pid)
        self.control.close()
        for descriptor in (self.lines, *self.raw):
            os.close(descriptor)
