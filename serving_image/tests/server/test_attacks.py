"""Requests that are made to hurt: answered with an error, and nobody else waits."""

from __future__ import annotations

import gzip

import orjson
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.rfc7230 import HEADER_FIELD_RE

from cortex_serving.server.header_lines import FIELD
from tests.conftest import Replica, Serve

ECHO = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return payload
"""
BLANKS = b" \t" * 30_000


@given(
    st.lists(
        st.sampled_from([b"a", b"-", b":", b" ", b"\t", b"x", b"\xff", b"\x01", b"\x7f", b"\n", b"\r", b"("]),
        max_size=12,
    )
)
def test_header_lines_are_read_as_waitress_reads_them(parts: list[bytes]) -> None:
    for line in (b"".join(parts), b"Name:" + b"".join(parts)):
        ours, theirs = FIELD.match(line), HEADER_FIELD_RE.match(line)
        assert (ours is None) == (theirs is None), line
        if ours is not None and theirs is not None:
            assert ours.group("name", "value") == theirs.group("name", "value"), line


def _send(replica: Replica, request: bytes) -> bytes:
    with replica.connect() as connection:  # which waits for a while only
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
            received += data
    return received


# Header lines, and the status of the answer. waitress's own expression takes minutes for each.
SLOW = {
    "control byte": (b"X:" + BLANKS + b"\x01", 400),
    "value and control byte": (b"X: a" + BLANKS + b"\x01", 400),
    "value": (b"X:" + BLANKS + b"a", 200),
    "blanks only": (b"X:" + BLANKS, 200),
    "folded": (b"X:" + BLANKS[:30_000] + b"\r\n" + BLANKS[:30_000] + b"a", 200),
    "many": (b"\r\n".join(b"X%d:" % n + BLANKS[:5000] + b"\x01" for n in range(12)), 400),
}


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_blanks_in_headers_cost_no_time(serve: Serve, mode: str) -> None:
    replica = serve(ECHO, environ={"CORTEX_HTTP": mode})
    for lines, status in SLOW.values():
        request = b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + lines + b"\r\n\r\n"
        assert _send(replica, request)[8:].startswith(b" %d " % status), lines[:20]
    assert _send(replica, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 66_000 + b"\r\n\r\n").startswith(
        b"HTTP/1.0 431 "
    )
    assert replica.get("/healthz").status_code == 200


# The version, the header lines, and whether the request is refused.
HOSTS = {
    "one": (b"1.1", b"Host: a", False),
    "one, in other letters": (b"1.1", b"HOST:a", False),
    "an empty one": (b"1.1", b"Host:", False),
    "an address with a port": (b"1.1", b"Host: [::1]:8888", False),
    "a name with a port": (b"1.1", b"Host: a_b.example.com:80", False),
    "two words": (b"1.1", b"Host: a b", True),
    "a path": (b"1.1", b"Host: a/b", True),
    "a user": (b"1.1", b"Host: a@b", True),
    "a port that is none": (b"1.1", b"Host: a:b", True),
    "two names": (b"1.1", b"Host: a:1:2", True),
    "a folded line": (b"1.1", b"Host: a\r\n b", True),
    "letters of Latin-1": (b"1.1", b"Host: \xe9", True),
    "two words in 1.0": (b"1.0", b"Host: a b", True),
    "none": (b"1.1", b"X: host:", True),
    "two": (b"1.1", b"Host: a\r\nX: y\r\nhost: b", True),
    "two equal ones": (b"1.1", b"Host: a\r\nHost: a", True),
    "none in 1.0": (b"1.0", b"X: y", False),
    "two in 1.0": (b"1.0", b"Host: a\r\nHost: b", True),
    "chunks in 1.0": (b"1.0", b"Host: a\r\nTransfer-Encoding: chunked", True),
    "something else in 1.0": (b"1.0", b"Host: a\r\nTransfer-Encoding: identity", True),
}


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_hosts_and_old_chunks(serve: Serve, mode: str) -> None:
    replica = serve(ECHO, environ={"CORTEX_HTTP": mode})
    for name, (version, lines, refused) in HOSTS.items():
        answer = _send(replica, b"GET /api HTTP/" + version + b"\r\n" + lines + b"\r\n\r\n")
        assert (b" 400 Bad Request\r\n" in answer) == refused, name
        assert (b" 200 OK\r\n" in answer) != refused, name
        assert (b"Connection: close" in answer) == (refused or version == b"1.0"), name


# Bodies of JSON that are short on the wire, compressed 1000 times, and gigabytes as Python's values.
BOMBS = {
    "empty lists": b"[" + b"[]," * 20_000_000 + b"[]]",
    "empty objects": b"[" + b"{}," * 20_000_000 + b"{}]",
    "objects": b"[" + b'{"a":1},' * 7_000_000 + b"{}]",
    "empty texts": b"[" + b'"",' * 20_000_000 + b"1]",
    "numbers": b"[" + b"9," * 25_000_000 + b"9]",
}


@pytest.mark.parametrize("mem", [None, "400Mi"])
def test_json_that_would_exhaust_the_memory_is_refused(serve: Serve, mem: str | None) -> None:
    replica = serve(ECHO, compute={"mem": mem})
    headers = {"Content-Type": "application/json"}
    worker = psutil.Process(replica.process.pid).children()[0]
    for name, body in BOMBS.items():
        for encoding, data in (("gzip", gzip.compress(body, 1)), ("identity", body)):
            answer = replica.post(data=data, headers={**headers, "Content-Encoding": encoding})
            assert answer.status_code == 413, (name, encoding)
            assert "error" in answer.json()
    assert worker.memory_info().rss < 400 * 2**20
    assert replica.post([[1, 2.5, "a"]] * 20_000).status_code == 200
    large = orjson.dumps([0.12345678901234567] * (600_000 if mem else 2_000_000))
    assert replica.post(data=large, headers=headers).status_code == 200, "ordinary JSON of many MB"
