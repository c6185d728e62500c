"""Clients that send slowly, or nothing, or much at once: their connections end, and health probes are answered."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.conftest import Serve, eventually

ECHO = """
import ctypes
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        if payload == "hold":
            ctypes.PyDLL(None).sleep(12)
        return {"got": len(payload)}
"""
POST = b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"


def _ended(connection: socket.socket) -> bool:
    """Whether the server has ended the connection without an answer."""
    connection.setblocking(False)
    try:
        return connection.recv(1000) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_requests_that_do_not_come_are_not_waited_for(serve: Serve, mode: str) -> None:
    replica = serve(ECHO, environ={"CORTEX_HTTP": mode, "CORTEX_CLIENT_TIMEOUT": "2"})
    with contextlib.ExitStack() as stack:
        header, body, chunks, trickle, idle, slow = (stack.enter_context(replica.connect()) for _ in range(6))
        header.sendall(POST)
        body.sendall(POST + b"Content-Length: 10\r\n\r\nhello")
        chunks.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe")
        slow.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        trickle.sendall(b"GET / HTTP/1.1\r\n")
        waiting, sent = [header, body, chunks, trickle], 0
        while waiting:  # a header must be whole in time; a body only has to go on
            with contextlib.suppress(OSError):
                trickle.send(b"X: y\r\n")
            slow.sendall(b"x")
            sent += 1
            waiting = [each for each in waiting if not _ended(each)]
            assert sent < 500, "connections are closed"
            time.sleep(0.1)
        slow.sendall(b"x" * (1000 - sent))
        for connection in (slow, idle):  # what is idle between two requests stays
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" if connection is idle else b"")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


CLOCK = """
import time
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        machine = time.time
        time.time = lambda: machine() + payload["seconds"]
        return {"now": time.time() - machine()}
"""


@pytest.mark.parametrize("mode", ["fast", "stock"])
@pytest.mark.parametrize("seconds", [7200, -7200])
def test_a_clock_that_is_set_ends_no_request(serve: Serve, mode: str, seconds: int) -> None:
    replica = serve(CLOCK, environ={"CORTEX_HTTP": mode})
    body = b'{"seconds": 0}'
    post = b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
    with replica.connect() as slow:
        slow.sendall(post + body[:5])
        answer = replica.post({"seconds": seconds})
        assert answer.json()["now"] == pytest.approx(seconds, abs=60)
        for _ in range(3):
            assert replica.get("/healthz").status_code == 200
        slow.sendall(body[5:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


FEW_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
from cortex_serving.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_probes_are_answered_whatever_the_number_of_connections(
    serve: Serve, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.conftest.SERVE", [sys.executable, "-c", FEW_FILES])
    replica = serve(ECHO, environ={"CORTEX_HTTP": mode})
    with _many_files(1000), contextlib.ExitStack() as stack:
        begun = [stack.enter_context(replica.connect()) for _ in range(200)]
        for connection in begun:
            connection.sendall(POST)
        idle = [stack.enter_context(replica.connect()) for _ in range(600)]
        for path in ("/healthz", "/readyz"):
            with replica.connect() as probe:
                probe.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
                assert probe.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert any(map(_ended, idle)) and not all(map(_ended, idle))
        assert replica.post("abc").json() == {"got": 3}
    eventually(lambda: psutil.Process(replica.process.pid).children()[0].num_fds() < 100)


def test_probes_are_answered_while_c_code_holds_the_worker_of_many_connections(serve: Serve) -> None:
    replica = serve(ECHO)
    with _many_files(1000), contextlib.ExitStack() as stack:
        holding = stack.enter_context(replica.connect())
        holding.sendall(POST.replace(b"octet-stream", b"json") + b'Content-Length: 6\r\n\r\n"hold"')
        time.sleep(0.5)  # it has arrived; nobody could say so
        for _ in range(700):
            stack.enter_context(replica.connect())
        with replica.connect() as probe:
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert probe.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(TimeoutError):
            holding.settimeout(0.01)
            holding.recv(1)


@contextlib.contextmanager
def _many_files(count: int) -> Iterator[None]:
    """Let this process have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_bodies_share_a_budget_of_memory(serve: Serve, mode: str) -> None:
    replica = serve(ECHO, environ={"CORTEX_HTTP": mode}, compute={"mem": "128Mi"})
    worker = psutil.Process(replica.process.pid).children()[0]
    before = worker.memory_info().rss
    size = 4 * 2**20
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(replica.connect()) for _ in range(25)]
        for client in clients:  # 100 MiB, of which the last byte is missing
            client.sendall(POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * (size - 1))
        assert replica.get("/healthz").status_code == 200
        assert worker.memory_info().rss - before < 50 * 2**20
        for client in clients:
            client.sendall(b"x")
            received = b""
            while not received.endswith(b"}"):
                received += client.recv(1000)
            assert received.endswith(b'{"got":%d}' % size)
    assert replica.post(data=b"x" * size).json() == {"got": size}


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_the_payload_of_chunks_counts_not_their_framing(serve: Serve, mode: str) -> None:
    replica = serve(ECHO, environ={"CORTEX_HTTP": mode}, max_body_bytes=10_000)
    for size, status in ((10_000, b"200"), (10_001, b"413")):
        with replica.connect() as client:
            client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * size + b"0\r\n\r\n")
            assert client.recv(1000)[9:12] == status
    for framing, status in ((b"1;" + b"a" * 40_000, b"400"), (b"0\r\n" + b"X: y\r\n" * 10_000, b"431")):
        with replica.connect() as client:
            client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + framing)
            assert client.recv(1000)[9:12] == status
    assert "POST /api" in eventually(lambda: replica.messages(source="access", status=431))[0]
