"""Bad input, from the wire up: the right 4xx with a JSON error, and the server goes on serving."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Replica, Serve, eventually

ECHO = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return payload
"""

WIRE = {
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", 400),
    "length of letters": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400),
    "negative length": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "unknown transfer encoding": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", 501),
    "broken chunk": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "bare newline": (b"POST / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400),
    "header without name": (b"POST / HTTP/1.1\r\n: x\r\n\r\n", 400),
    "endless header": (b"POST / HTTP/1.1\r\nX: " + b"a" * 262_130, 431),
    "not HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400),
    "larger than the limit": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", 413),
    "length too small": (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: 3\r\n\r\n[1, 2]",
        400,
    ),
    "deeply nested": (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
        400,
    ),
}


def _conversation(replica: Replica, data: bytes) -> bytes:
    with replica.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    from tests.conftest import running, write_project

    project = write_project(tmp_path_factory.mktemp("bad") / "project", ECHO, max_body_bytes=50_000_000)
    with running([str(project), "--listen", "127.0.0.1:0"]) as started:
        yield started


@pytest.mark.parametrize("name", WIRE)
def test_what_is_wrong_on_the_wire(replica: Replica, name: str) -> None:
    data, status = WIRE[name]
    with replica.connect() as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) or head.startswith(b"HTTP/1.0 %d " % status)
    assert json.loads(body)["error"]
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert {"X-Cortex-Api", "X-Cortex-Revision", "Server-Timing", "X-Request-Id"} <= lines.keys()
    assert lines["Connection"] == "close"
    logged = eventually(lambda: _access_lines(replica, lines["X-Request-Id"]))
    assert [line["status"] for line in logged] == [status]
    assert replica.post([1]).json() == [1]


def _access_lines(replica: Replica, request_id: str) -> list[dict[str, Any]]:
    return [line for line in replica.lines if line.get("source") == "access" and line["request_id"] == request_id]


def test_what_is_known_of_a_refused_request_is_used(replica: Replica) -> None:
    head = b"POST /api HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nX-Request-Id: mine-%d\r\n"
    answer = _conversation(replica, head % 1 + b"Content-Length: 60000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in answer
    assert b"\r\nX-Request-Id: mine-1\r\n" in answer
    (line,) = eventually(lambda: _access_lines(replica, "mine-1"))
    assert line["message"].startswith("413 POST /api ")
    answer = _conversation(replica, head % 2 + b"Content-Length: many\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nX-Request-Id: mine-2\r\n" in answer


def test_the_largest_body_is_taken(serve: Serve) -> None:
    replica = serve(ECHO, max_body_bytes=1000)
    assert replica.post(data=b"x" * 1000).content == b"x" * 1000
    assert replica.post(data=b"x" * 1001).status_code == 413


def test_a_request_with_two_lengths_is_the_last_of_its_connection(replica: Replica) -> None:
    twice = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    answer = _conversation(replica, twice + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close" in head
    assert body == b"abc"


def test_a_body_that_is_too_large_is_not_asked_for(replica: Replica) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    assert _conversation(replica, head % 60_000_000).startswith(b"HTTP/1.1 413 ")
    with replica.connect() as connection:
        connection.sendall(head % 3)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"[1]")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


BODIES = {
    "malformed": b'{"a": 1,}',
    "cut off": b'{"a": ',
    "nothing": b"",
    "two values": b"1 2",
    "single quotes": b"{'a': 1}",
    "not UTF-8": b'"caf\xe9"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "lone surrogate": b'"\xed\xa0\x80"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf[1]",
    "control character": b'"a\x00b"',
    "NaN": b'{"a": NaN}',
    "infinity": b"[Infinity]",
    "minus infinity": b"[-Infinity]",
    "nested without end": b"[" * 200_000,
    "nested too deep": b"[" * 100_000 + b"]" * 100_000,
    "objects nested too deep": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_not_json(replica: Replica, name: str) -> None:
    answer = replica.post(data=BODIES[name], headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.json()["error"].startswith("the body is not valid JSON")
    assert replica.post([1]).json() == [1]


def test_the_deepest_json_that_is_read_can_be_returned(replica: Replica) -> None:
    body = b"[" * 500 + b"]" * 500
    assert replica.post(data=body, headers={"Content-Type": "application/json"}).content == body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hundred_megabytes_are_refused_while_they_are_sent(replica: Replica, chunked: bool) -> None:
    piece, count = b"x" * 1_000_000, 100
    body = iter([piece] * count) if chunked else piece * count
    answer = requests.post(replica.address, data=body, timeout=60)
    assert answer.status_code == 413
    assert answer.json()["error"] == (
        "Request Entity Too Large: the body is larger than 50000000 bytes (predictor.max_body_bytes)"
    )
    assert replica.post([1]).json() == [1]


def test_who_reads_only_after_sending_everything_gets_the_refusal_too(replica: Replica) -> None:
    body = b"x" * 60_000_000
    for _ in range(5):
        with replica.connect() as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
            connection.sendall(body)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"the body is larger than 50000000 bytes" in answer
    assert replica.post([1]).json() == [1]


@pytest.mark.parametrize("model", ["none", "", "../m", "m/1", None, 5, ["m"], {}])
def test_an_unknown_model(serve: Serve, tmp_path: Path, model: Any) -> None:
    for name in ("m", "n"):
        (tmp_path / "project" / "models" / name / "1").mkdir(parents=True)
        (tmp_path / "project" / "models" / name / "1" / "weights").touch()
    replica = serve(
        """
        class PythonPredictor:
            def __init__(self, config, python_client):
                self.client = python_client
            def load_model(self, model_path):
                return "loaded"
            def predict(self, payload):
                return self.client.get_model(**payload)
        """,
        models={"dir": "models"},
    )
    answer = replica.post({"model_name": model})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]
    assert replica.post({"model_name": "m", "model_version": "2"}).status_code == 404
    assert replica.post({"model_name": "m"}).text == "loaded"


def test_a_body_that_ends_early_is_nobodys_request(replica: Replica) -> None:
    before = replica.get().json()["in_flight"]
    assert _conversation(replica, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nshort") == b""
    assert replica.get().json()["in_flight"] == before
    assert replica.post([1]).json() == [1]


def test_a_hundred_slow_clients_are_in_nobodys_way(replica: Replica) -> None:
    slow = [replica.connect() for _ in range(100)]
    try:
        for step in range(3):
            for connection in slow:
                connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"[step * 9 : step * 9 + 9])
            for n in range(10):
                assert replica.post([n]).json() == [n]
    finally:
        for connection in slow:
            connection.close()
    eventually(lambda: replica.post([1]).json() == [1])


def test_a_client_that_leaves_before_its_answer(replica: Replica) -> None:
    for _ in range(20):
        with replica.connect() as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
    assert replica.post([1]).json() == [1]
    eventually(lambda: replica.get().json()["in_flight"] == 0)
