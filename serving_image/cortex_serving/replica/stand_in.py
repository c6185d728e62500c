"""Stands in for workers whose interpreter is held by C code: answers health probes, and keeps connections for them.

C code that does not let go of Python's lock (the GIL) stops every thread of its process. Such a worker is busy, not
dead, but a load balancer that gets no answer has the replica killed. Each worker shows that its interpreter runs by a
word on the board that changes all the time (its pulse). While no worker of a replica has a pulse, the supervisor
accepts connections on the socket that the workers share. The supervisor answers health probes from the board, and keeps
other connections, unread, until a worker has a pulse again (docs/decisions/0037).
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from cortex_serving.contract import LIVE_PATH, PROBE_PATHS
from cortex_serving.replica.worker_process import Inboxes
from cortex_serving.server.accept_backoff import SCARCE
from cortex_serving.shared_state import Board, State

STALLED_AFTER = 1.8  # seconds without a pulse; there is one in at most one and a half
_LONGEST_GAP = 1.0  # seconds between two looks; when the whole replica was stopped meanwhile, nobody stalled
_MOST_KEPT = 1000  # connections with a request; others are told to come later
_MOST_SILENT = 250  # connections without one; the oldest goes, as the newest may be a health probe's
_HEAD_BYTES = 4096


class Pulses:
    """Tells which workers' interpreters run.

    Args:
        board: The replica's shared memory.
    """

    def __init__(self, board: Board) -> None:
        self._slots = board.slots()
        self._last = [slot.pulse for slot in self._slots]
        self._missing = [0.0] * len(self._slots)
        self._looked = time.monotonic()

    def look(self) -> None:
        """Note whose pulse has changed since the last look."""
        now = time.monotonic()
        gap, self._looked = min(now - self._looked, _LONGEST_GAP), now
        for index, slot in enumerate(self._slots):
            pulse = slot.pulse
            self._missing[index] = self._missing[index] + gap if pulse == self._last[index] else 0.0
            self._last[index] = pulse

    def begin(self, index: int) -> None:
        """Forget a worker's predecessor."""
        self._missing[index] = 0.0

    def missing(self, index: int) -> float:
        """Return for how many seconds a worker has had no pulse."""
        return self._missing[index]

    def running(self) -> list[int]:
        """Return the numbers of the workers that can take connections."""
        return [
            index
            for index, slot in enumerate(self._slots)
            if self._missing[index] < STALLED_AFTER and slot.state is State.READY
        ]

    @property
    def all_stalled(self) -> bool:
        """Whether no worker can accept a connection."""
        return min(self._missing) >= STALLED_AFTER


class StandIn:
    """Accepts connections while no worker can.

    Args:
        listener: The listening socket that the workers share.
        selector: The supervisor's; values are called when their socket can be read.
        inboxes: Of all workers.
        board: The replica's shared memory.
        headers: Names and values of headers of every answer.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        inboxes: Inboxes,
        board: Board,
        *,
        headers: Mapping[str, str],
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._inboxes = inboxes
        self._board = board
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._silent: dict[socket.socket, None] = {}  # of which nothing was received yet, in their order
        self._kept: deque[socket.socket] = deque()
        self._active = False

    @property
    def keeps(self) -> bool:
        """Whether connections wait to be handed over."""
        return bool(self._kept)

    def update(self, pulses: Pulses) -> None:
        """Begin or end standing in; hand over what was kept when a worker is back."""
        if pulses.all_stalled:
            self._begin()
        elif self._active:
            self.end()
        if self._kept:
            self._hand_over(pulses.running())

    def end(self) -> None:
        """Accept nothing any more."""
        if not self._active:
            return
        self._active = False
        self._selector.unregister(self._listener)
        for connection in list(self._silent):
            self._keep(connection)

    def close(self) -> None:
        """Accept nothing any more, and close what nobody will answer."""
        self.end()
        while self._kept:
            self._kept.popleft().close()

    def _begin(self) -> None:
        if not self._active:
            self._active = True
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # a worker was quicker, or no descriptor is left
            if error.errno in SCARCE:
                self._drop_oldest()
            return
        if len(self._silent) >= _MOST_SILENT:
            self._drop_oldest()
        connection.setblocking(False)
        self._silent[connection] = None
        self._selector.register(connection, selectors.EVENT_READ, partial(self._heard, connection))

    def _drop_oldest(self) -> None:
        """Close the connection that has been silent for longest."""
        if self._silent:
            connection = next(iter(self._silent))
            self._forget(connection)
            connection.close()

    def _heard(self, connection: socket.socket) -> None:
        try:
            head = connection.recv(_HEAD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            head = b""
        words = head.split(b"\r\n", 1)[0].split(b" ")
        path = words[1].split(b"?")[0].decode("ascii", "replace") if len(words) == 3 else ""
        if words[0] in (b"GET", b"HEAD") and path in PROBE_PATHS:
            good, report = self._board.health(live=path == LIVE_PATH)
            self._answer(connection, report, good=good, with_body=words[0] == b"GET")
        elif len(self._kept) < _MOST_KEPT:
            self._keep(connection)  # also one that its client has closed: the worker closes it
        else:
            self._answer(connection, {"error": "the replica is busy: too many requests wait"}, good=False)

    def _answer(
        self, connection: socket.socket, report: Mapping[str, Any], *, good: bool, with_body: bool = True
    ) -> None:
        """Answer a connection's request, and close the connection."""
        self._forget(connection)
        with contextlib.suppress(OSError):  # the client has gone
            connection.recv(_HEAD_BYTES)  # what is unread when a socket is closed resets the connection
            connection.send(self._written(report, good=good, with_body=with_body))
            connection.shutdown(socket.SHUT_WR)
        connection.close()

    def _written(self, report: Mapping[str, Any], *, good: bool, with_body: bool) -> bytes:
        body = json.dumps(report, separators=(",", ":")).encode()
        status = "200 OK" if good else "503 Service Unavailable"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"{self._headers}Connection: close\r\n\r\n"
        )
        return head.encode("latin-1", "replace") + (body if with_body else b"")

    def _forget(self, connection: socket.socket) -> None:
        self._silent.pop(connection, None)
        self._selector.unregister(connection)

    def _keep(self, connection: socket.socket) -> None:
        self._forget(connection)
        self._kept.append(connection)

    def _hand_over(self, workers: Iterable[int]) -> None:
        """Give kept connections to workers, in turn."""
        takers = deque(workers)
        while self._kept and takers:
            connection = self._kept.popleft()
            if self._inboxes.give(takers[0], connection):
                connection.close()
                takers.rotate(-1)
            else:  # its inbox is full for now
                self._kept.appendleft(connection)
                takers.popleft()
