"""Clients that do not read what they are sent: nobody else waits for them, and their streams end."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replica, Serve, eventually, running, task, write_project

# Each stream says in a file where it has begun, and that it ended.
LARGE = 17_000_000  # more than waitress keeps before it waits for the client
PIECE, PIECES, FAILS_AFTER = 65536, 400, 100  # more than waitress and the sockets keep
STREAMS = (
    f"PIECES = {PIECES}"
    + """
import contextvars, os, threading
NAME = contextvars.ContextVar("NAME", default=None)

class PythonPredictor:
    def __init__(self, config):
        self.lock = threading.Lock()

    def predict(self, payload):
        if isinstance(payload, str):
            if payload.startswith("locked"):
                with self.lock:
                    return "unlocked"
            return payload
        return getattr(self, payload.pop("kind", "stream"))(**payload)

    def stream(self, name, pieces=PIECES, fail=False):
        token = NAME.set(name)
        with open("begun", "a") as file:
            file.write(f"{name},")
        try:
            for n in range(pieces):
                yield f"{n:08d}".encode() * 8192
                assert NAME.get() == name
            if fail:
                raise ValueError("on purpose")
        finally:
            NAME.reset(token)
            print("ended by", name)
            with open("ended", "a") as file:
                file.write(f"{name},")

    def holding(self, name):
        with self.lock:
            yield from self.stream(name)
"""
)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "one thread": ("fast", {}),
    "several threads": ("fast", {"threads_per_process": 3}),
    "several processes": ("fast", {"processes_per_replica": 2}),
    "one thread, stock": ("stock", {}),
    "several threads, stock": ("stock", {"threads_per_process": 3}),
}


def _slow_reader(replica: Replica, payload: Any, more: bytes = b"") -> socket.socket:
    """A client that reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    host, port = replica.address.removeprefix("http://").split(":")
    connection.connect((host, int(port)))
    connection.sendall(_request(payload) + more)
    return connection


def _request(payload: Any) -> bytes:
    body = json.dumps(payload).encode()
    head = f"POST /api HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}X-Request-Id: {payload['name'] if isinstance(payload, dict) else 'a'}\r\n\r\n".encode() + body


def _received(connection: socket.socket) -> bytes:
    """All that comes until the connection ends; from here on it is read fast."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 20):
            received += data
    return bytes(received)


def _chunks(answer: bytes) -> Iterator[bytes]:
    at = answer.index(b"\r\n\r\n") + 4
    while at < len(answer):
        end = answer.index(b"\r\n", at)
        size = int(answer[at:end], 16)
        yield answer[end + 2 : end + 2 + size]
        at = end + size + 4


def _names(project: Path, file: str) -> set[str]:
    path = project / file
    return set(path.read_text().split(",")[:-1]) if path.exists() else set()


@pytest.mark.parametrize("kind", KINDS)
def test_many_slow_readers_keep_nobody_waiting(serve: Serve, tmp_path: Path, kind: str) -> None:
    mode, options = KINDS[kind]
    project, count = tmp_path / "project", 100 if kind == "one thread" else 30
    replica = serve(STREAMS, environ={"CORTEX_HTTP": mode}, **options)
    with contextlib.ExitStack() as stack:
        names = [f"slow-{n}" for n in range(count)]
        slow = [stack.enter_context(_slow_reader(replica, {"name": name})) for name in names]
        eventually(lambda: len(_names(project, "begun")) == count)
        assert [replica.post(f"{n}").text for n in range(20)] == [f"{n}" for n in range(20)]
        assert not _names(project, "ended")
        failing = stack.enter_context(_slow_reader(replica, {"name": "fails", "pieces": FAILS_AFTER, "fail": True}))
        eventually(lambda: "fails" in _names(project, "begun"))
        assert replica.post("between").text == "between"
        whole = list(_chunks(_received(slow[0])))  # one begins to read, and gets all of its stream
        assert [chunk[:8] for chunk in whole[:-1]] == [b"%08d" % n for n in range(PIECES)]
        assert {len(chunk) for chunk in whole} == {PIECE, 0}
        cut = list(_chunks(_received(failing)))
        assert len(cut) == FAILS_AFTER, "the end is missing, as the stream failed"
    eventually(lambda: _names(project, "ended") == {*names, "fails"})  # clients that go end their streams
    assert replica.post("after").text == "after"
    said = eventually(lambda: replica.messages(request_id="slow-7", source="stdout"))
    assert said == ["ended by slow-7"], "the other thread works under the request's id"
    eventually(lambda: len(replica.records(source="access", status=200)) >= count)
    assert len(replica.messages(level="ERROR")) == 1
    assert replica.stop() == 0


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_a_client_that_reads_nothing_is_cut_off(serve: Serve, tmp_path: Path, mode: str) -> None:
    project = tmp_path / "project"
    replica = serve(STREAMS, environ={"CORTEX_HTTP": mode, "CORTEX_CLIENT_TIMEOUT": "2"})
    with _slow_reader(replica, {"name": "stuck"}) as stuck, _slow_reader(replica, {"name": "late"}) as late:
        eventually(lambda: {"stuck", "late"} == _names(project, "begun"))
        received = 0
        while "stuck" not in _names(project, "ended"):
            received += len(late.recv(1 << 16))  # slowly, but it goes on
        assert len(_received(stuck)) < PIECES * PIECE
        assert received + len(_received(late)) > PIECES * PIECE
    eventually(lambda: "late" in _names(project, "ended"))


def test_a_lock_that_a_parked_stream_holds_is_let_go(serve: Serve, tmp_path: Path) -> None:
    project = tmp_path / "project"
    replica = serve(STREAMS, environ={"CORTEX_CLIENT_TIMEOUT": "2"})
    with _slow_reader(replica, {"kind": "holding", "name": "holder"}):
        eventually(lambda: _names(project, "begun"))
        assert replica.post("locked").text == "unlocked"
        assert "holder" in _names(project, "ended")
    [warning] = replica.messages(level="WARNING", logger="cortex_serving.scheduling.parked_streams")
    assert "lock" in warning


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_large_answers_that_nobody_reads_block_no_thread(serve: Serve, mode: str) -> None:
    replica = serve(
        "class PythonPredictor:\n    def __init__(self, config): pass\n"
        "    def predict(self, payload): return 'x' * payload\n",
        environ={"CORTEX_HTTP": mode},
    )
    with _slow_reader(replica, LARGE, _request(LARGE) * 2) as slow:
        assert replica.post(3).text == "xxx"
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        received = 0
        while received < 3 * LARGE:
            received += len(slow.recv(1 << 20))


def test_a_replica_stops_with_streams_that_nobody_reads(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", STREAMS)
    with (
        running([], task(project, stop_timeout=4)) as replica,
        _slow_reader(replica, {"name": "a"}),
        _slow_reader(replica, {"name": "b"}),
    ):
        eventually(lambda: len(_names(project, "begun")) == 2)
        assert replica.stop() == 0
    assert any("2 connections" in message for message in replica.messages(event="cut_off"))
