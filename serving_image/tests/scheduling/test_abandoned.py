"""A request whose client goes away while the request waits is dropped, wherever it waits."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replica, Serve, eventually

# Predicts when it is let go; writes what it has predicted.
GATE = """
import os, time
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        with open("predicted", "a") as file:
            file.write("".join(f"{each}," for each in (payload if isinstance(payload, list) else [payload])))
        while not os.path.exists("go"):
            time.sleep(0.005)
        return [{"got": each} for each in payload] if isinstance(payload, list) else {"got": payload}
"""
BATCHING = {"server_side_batching": {"max_batch_size": 2, "batch_interval": "1ms"}}
KINDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "one thread": ("fast", 1, {}),
    "several threads": ("fast", 2, {"threads_per_process": 2}),
    "several processes": ("fast", 2, {"processes_per_replica": 2}),
    "batches": ("fast", 1, BATCHING),
    "batches in several processes": ("fast", 2, {**BATCHING, "processes_per_replica": 2}),
    "one thread, stock": ("stock", 1, {}),
    "batches, stock": ("stock", 1, BATCHING),
}


def _ask(replica: Replica, value: str, version: str = "1.1") -> socket.socket:
    connection = replica.connect()
    connection.sendall(_request(value, version))
    return connection


def _request(value: str, version: str = "1.1") -> bytes:
    head = f"POST /api HTTP/{version}\r\nHost: a\r\nX-Request-Id: {value}\r\nContent-Type: application/json\r\n"
    return f'{head}Content-Length: {len(value) + 2}\r\n\r\n"{value}"'.encode()


def _answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection, or the answer of a client that keeps it open."""
    received = b""
    while not received.endswith(b"}") and (data := connection.recv(65536)):
        received += data
    return received


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _in_flight(replica: Replica) -> int:
    return int(replica.get("/healthz").json()["in_flight"])


def _busy(replica: Replica, project: Path, count: int) -> list[socket.socket]:
    """Have the predictor work on that many requests, one after the other: they must not wait for each other."""
    clients = []
    for number in range(count):
        clients.append(_ask(replica, f"first{number}"))
        eventually(lambda: _predicted(project).count("first") == len(clients))
    return clients


def _predicted(project: Path) -> str:
    return (project / "predicted").read_text() if (project / "predicted").exists() else ""


@pytest.mark.parametrize("kind", KINDS)
def test_abandoned_requests_are_dropped_while_they_wait(serve: Serve, tmp_path: Path, kind: str) -> None:
    mode, at_once, options = KINDS[kind]
    project = tmp_path / "project"
    replica = serve(GATE, environ={"CORTEX_HTTP": mode}, **options)
    first = _busy(replica, project, at_once)
    gone = [_ask(replica, f"gone{number}") for number in range(6)]
    half = _ask(replica, "half")
    last = _ask(replica, "last")
    eventually(lambda: _in_flight(replica) == at_once + 8)
    half.shutdown(socket.SHUT_WR)  # it sends nothing more, and waits for its answer
    for connection in gone[:3]:
        connection.close()
    for connection in gone[3:]:
        _reset(connection)
    # They have left while the predictor is as busy as before.
    eventually(lambda: _in_flight(replica) == at_once + 2)
    (project / "go").touch()
    for number, connection in enumerate(first):
        assert f'"first{number}"'.encode() in _answer(connection)
    assert b'"half"' in _answer(half)
    assert b'"last"' in _answer(last)
    eventually(lambda: _in_flight(replica) == 0)  # counted out after the answer is sent
    assert "gone" not in _predicted(project)
    assert replica.stop() == 0
    access = {record["request_id"]: record["status"] for record in replica.records(source="access")}
    answered = {record for record, status in access.items() if status == 200}
    assert {name for name, status in access.items() if status == 499} == {f"gone{number}" for number in range(6)}
    assert answered >= {"half", "last"}
    assert _sum(replica, "Abandoned") == 6
    assert _sum(replica, "Responses4XX") == 0, "nobody was answered"


def _sum(replica: Replica, metric: str) -> float:
    return sum(float(record.get(metric, 0)) for record in replica.lines if "_aws" in record)


def test_a_client_that_only_stops_sending_is_asked_before_its_answer_and_old_clients_are_not(
    serve: Serve, tmp_path: Path
) -> None:
    replica = serve(GATE)
    project = tmp_path / "project"
    first, *_ = _busy(replica, project, 1)
    new, old = _ask(replica, "new"), _ask(replica, "old", "1.0")
    eventually(lambda: _in_flight(replica) == 3)
    for connection in (first, new, old):
        connection.shutdown(socket.SHUT_WR)
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert new.recv(65536) == interim
    (project / "go").touch()
    assert _answer(first).startswith(b"HTTP/1.1 200 OK"), "a request that is worked on waits no longer"
    assert _answer(new).startswith(b"HTTP/1.1 200 OK")
    assert _answer(old).startswith(b"HTTP/1.0 200 OK"), "HTTP/1.0 has no interim answers (RFC 9110, 15.2)"


def test_requests_behind_an_abandoned_one_on_its_connection_go_with_it(serve: Serve, tmp_path: Path) -> None:
    replica = serve(GATE)
    project = tmp_path / "project"
    first, *_ = _busy(replica, project, 1)
    pipelined = _ask(replica, "gone1")
    eventually(lambda: _in_flight(replica) == 2)
    pipelined.sendall(_request("gone2") + _request("gone3"))
    pipelined.close()
    eventually(lambda: _in_flight(replica) == 1)
    (project / "go").touch()
    assert b"200 OK" in _answer(first)
    assert replica.post("after").json() == {"got": "after"}
    assert _predicted(project) == "first0,after,"
