"""``CORTEX_HTTP=fast`` answers byte for byte as stock waitress does.

Every case is sent, cut into pieces, to two servers in this process that differ only in that setting: same application
(which answers with all that it was told, so that the WSGI environment is compared too), same thread. Which thread runs
the loop, and when it sends, does not change what is sent, and is left out (``test_leader_follower.py``).
``CORTEX_HTTP_CASES`` sets how many cases are generated; 100,000 were run before the fast paths were let in.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_serving.request_context import KEY, Exchange, Verdict
from cortex_serving.scheduling.thread_pool import ThreadPool
from cortex_serving.server.event_loop import make_loop
from cortex_serving.server.leader_follower import MainThreadOnly
from cortex_serving.server.server import ServingServer
from cortex_serving.shared_state import Board

CASES = int(os.environ.get("CORTEX_HTTP_CASES", "1500"))
MAX_BODY = 100_000


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Tells everything back; the path chooses how."""
    refusal = environ[KEY].refusal
    if refusal is not None:
        answer = str(refusal.description).encode()
        start_response(refusal.status, [("content-length", str(len(answer)))])
        return [answer]
    body = environ["wsgi.input"].read()
    told = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    del told["SERVER_PORT"]  # of the two sides
    answer = json.dumps([sorted(told.items()), body.hex()], default=str).encode()
    path = environ["PATH_INFO"]
    headers = [("content-type", "application/json"), ("X-mIxed-case", "kept"), ("x-b", "1"), ("x-b", "2")]
    if path == "/none":
        start_response("204 No Content", [("x-a", "1")])
        return []
    if path == "/304":
        start_response("304 Not Modified", [("content-length", "5")])
        return [b"12345"]
    if path == "/stream":
        start_response("200 OK", headers)
        return iter([answer, b"", b"more"])
    if path == "/nolength":
        start_response("200 OK", headers)
        return [answer]
    if path == "/short":
        start_response("200 OK", [*headers, ("content-length", str(len(answer) + 5))])
        return [answer]
    if path == "/long":
        start_response("200 OK", [*headers, ("content-length", "3")])
        return [answer]
    if path == "/dated":
        start_response("200 OK", [("date", "today"), ("server", "mine"), ("content-length", "2")])
        return [b"ok"]
    if path == "/inject":
        start_response("200 OK", [("x-evil", "a\r\nb: c"), ("content-length", "2")])
        return [b"ok"]
    if path == "/hop":
        start_response("200 OK", [("connection", "close"), ("content-length", "2")])
        return [b"ok"]
    if path == "/raise":
        raise ValueError("on purpose")
    if path == "/big":
        answer = b"x" * 300_000
    start_response("200 OK", [*headers, ("content-length", str(len(answer)))])
    return [answer]


class OneAtATime:
    """Admits everything; what it admits is answered on the loop's thread, between its turns."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def add_task(self, channel: Any) -> None:
        channel.requests[0].exchange = Exchange(0.0, None, Verdict.CONTROL)
        self.waiting.append(channel)


class Side:
    """One of the two servers."""

    def __init__(self, *, fast: bool) -> None:
        self.admission = OneAtATime()
        self.listener = socket.create_server(("127.0.0.1", 0))
        loop = make_loop(fast=fast)
        board = Board.create(1)
        self.server = ServingServer(
            application,
            self.listener,
            self.admission,
            loop=loop,
            runner=MainThreadOnly(loop, ThreadPool("none", 0, lambda: None)),
            board=board,
            slot=board.slot(0),
            max_body_bytes=MAX_BODY,
            body_memory=2**20,
            gate=None,
            fast=fast,
            client_timeout=60.0,
            neighbours=None,
            inbox=socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0],
        )

    def exchange(self, pieces: list[bytes]) -> tuple[bytes, bool]:
        """What the server answers to these pieces, and whether it closed the connection."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(True)
        ours.setblocking(False)
        channel = self.server.channel_class(self.server, theirs, ("client", 1), self.server.adj, map=self.server._map)
        received, closed = bytearray(), False
        for piece in pieces:
            try:
                ours.sendall(piece)
            except OSError:
                break
            # stock waitress takes 8 KiB in a turn of its loop
            closed = self._settle(ours, received, 2 + len(piece) // 8192) or closed
        closed = self._settle(ours, received, 2) or closed
        channel.handle_close()
        ours.close()
        return re.sub(rb"Date: [^\r]*", b"Date: now", bytes(received)), closed

    def _settle(self, ours: socket.socket, received: bytearray, turns: int) -> bool:
        """Let the server work until it has done nothing that shows for so many turns."""
        closed, idle = False, 0
        while idle < turns:
            self.server.loop.turn(0)
            busy = bool(self.admission.waiting)
            while self.admission.waiting:
                self.admission.waiting.pop(0).service()
            try:
                while True:
                    data = ours.recv(1 << 20)
                    if not data:
                        closed = True
                        break
                    received += data
                    busy = True
            except (BlockingIOError, ConnectionResetError):
                pass
            idle = 0 if busy else idle + 1
        return closed


@pytest.fixture(scope="module")
def sides() -> Iterator[dict[str, Side]]:
    import logging

    logging.getLogger("waitress").setLevel(logging.CRITICAL + 1)
    yield {"stock": Side(fast=False), "fast": Side(fast=True)}


def _post(body: bytes, *lines: bytes, path: bytes = b"/", version: bytes = b"1.1", length: bool = True) -> bytes:
    declared = [b"Content-Length: %d" % len(body)] if length else []
    return b"\r\n".join([b"POST " + path + b" HTTP/" + version, b"Host: x", *lines, *declared, b"", b""]) + body


CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLING = {
    "length and chunked": _post(CHUNKED, b"Transfer-Encoding: chunked", b"Content-Length: 3", length=False) + GET,
    "chunked and length": _post(CHUNKED, b"Content-Length: 50", b"Transfer-Encoding: chunked", length=False) + GET,
    "two lengths": _post(b"hello", b"Content-Length: 3") + GET,
    "two equal lengths": _post(b"hello", b"Content-Length: 5") + GET,
    "length list": _post(b"hello", b"Content-Length: 5, 5", length=False) + GET,
    "length plus": _post(b"hello", b"Content-Length: +5", length=False) + GET,
    "length minus": _post(b"hello", b"Content-Length: -5", length=False) + GET,
    "length hex": _post(b"hello", b"Content-Length: 0x5", length=False) + GET,
    "length underscore": _post(b"hello", b"Content-Length: 1_0", length=False) + GET,
    "length unicode digit": _post(b"hello", "Content-Length: \u0665".encode(), length=False) + GET,
    "length superscript": _post(b"hello", b"Content-Length: \xb2", length=False) + GET,
    "length space inside": _post(b"hello", b"Content-Length: 1 0", length=False) + GET,
    "length zeros": _post(b"hello", b"Content-Length: 005", length=False) + GET,
    "length empty": _post(b"hello", b"Content-Length: ", length=False) + GET,
    "length space before colon": _post(b"hello", b"Content-Length : 5", length=False) + GET,
    "length tab": _post(b"hello", b"Content-Length:\t5\t", length=False) + GET,
    "length vertical tab": _post(b"hello", b"Content-Length: \x0b5", length=False) + GET,
    "length nel": _post(b"hello", b"Content-Length: \x855", length=False) + GET,
    "length null": _post(b"hello", b"Content-Length: 5\x00", length=False) + GET,
    "length with underscore name": _post(b"hello", b"Content_Length: 5", length=False) + GET,
    "chunked with underscore name": _post(CHUNKED, b"Transfer_Encoding: chunked", length=False) + GET,
    "chunked xchunked": _post(CHUNKED, b"Transfer-Encoding: xchunked", length=False) + GET,
    "chunked space": _post(CHUNKED, b"Transfer-Encoding : chunked", length=False) + GET,
    "chunked vertical tab": _post(CHUNKED, b"Transfer-Encoding: \x0bchunked", length=False) + GET,
    "chunked identity": _post(CHUNKED, b"Transfer-Encoding: identity", length=False) + GET,
    "chunked twice": _post(CHUNKED, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", length=False) + GET,
    "chunked 1.0": _post(CHUNKED, b"Transfer-Encoding: chunked", version=b"1.0", length=False) + GET,
    "chunk extension": _post(b"5;a=b\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", length=False) + GET,
    "chunk bare newline": _post(b"5\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", length=False) + GET,
    "chunk negative": _post(b"-5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", length=False) + GET,
    "chunk trailer": _post(b"0\r\nX: y\r\n\r\n", b"Transfer-Encoding: chunked", length=False) + GET,
    "folded": _post(b"hello", b"X-A: b", b" c") + GET,
    "folded length": _post(b"hello", b"Content-Length:", b" 5", length=False) + GET,
    "folded first": b"GET / HTTP/1.1\r\n X: y\r\n\r\n" + GET,
    "bare newline in header": _post(b"", b"X-A: b\nContent-Length: 5") + GET,
    "bare newline at the end": _post(b"", b"X-A: b\n") + GET,
    "bare return in header": _post(b"", b"X-A: b\rContent-Length: 5") + GET,
    "bare newlines only": b"GET / HTTP/1.1\nHost: x\n\n" + GET,
    "null in header": _post(b"", b"X-A: b\x00c") + GET,
    "no colon": _post(b"", b"X-A") + GET,
    "empty name": _post(b"", b": x") + GET,
    "bad name": _post(b"", b"X(A: x") + GET,
    "latin value": _post(b"", b"X-A: \xe9") + GET,
    "control value": _post(b"", b"X-A: a\x01b") + GET,
    "delete value": _post(b"", b"X-A: a\x7fb") + GET,
    "empty value": _post(b"", b"X-A:") + GET,
    "spaces around value": _post(b"", b"X-A:  \t b c \t ") + GET,
    "twice": _post(b"", b"X-A: 1", b"x-a: 2") + GET,
    "host twice": _post(b"", b"Host: y") + GET,
    "proxy headers": _post(b"", b"X-Forwarded-For: 1.2.3.4", b"Forwarded: for=x") + GET,
    "expect": _post(b"hello", b"Expect: 100-continue") + GET,
    "expect without body": b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n" + GET,  # found by generated cases
    "expect other": _post(b"hello", b"Expect: something") + GET,
    "lower case method": b"post / HTTP/1.1\r\n\r\n" + GET,
    "odd method": b"M-SEARCH * HTTP/1.1\r\n\r\n" + GET,
    "tab in first line": b"GET\t/ HTTP/1.1\r\n\r\n" + GET,
    "two spaces": b"GET  / HTTP/1.1\r\n\r\n" + GET,
    "trailing space": b"GET / HTTP/1.1 \r\n\r\n" + GET,
    "leading lines": b"\r\n\r\n" + GET + GET,
    "leading space": b" " + GET + GET,
    "no version": b"GET /\r\n\r\n" + GET,
    "version 0.9": b"GET / HTTP/0.9\r\n\r\n" + GET,
    "version 1.2": b"GET / HTTP/1.2\r\n\r\n" + GET,
    "version 2.0": b"GET / HTTP/2.0\r\n\r\n" + GET,
    "absolute": b"GET http://a:1/b?c#d HTTP/1.1\r\n\r\n" + GET,
    "slashes": b"GET //a//b?c HTTP/1.1\r\n\r\n" + GET,
    "encoded": b"GET /%2e%2e/%00/%ff?a=%20 HTTP/1.1\r\n\r\n" + GET,
    "fragment": b"GET /a#b?c HTTP/1.1\r\n\r\n" + GET,
    "latin path": b"GET /\xe9 HTTP/1.1\r\n\r\n" + GET,
    "brackets": b"GET //[::1 HTTP/1.1\r\n\r\n" + b"GET http://[::1/ HTTP/1.1\r\n\r\n" + GET,
    "too long": _post(b"", b"X-A: " + b"a" * 262144) + GET,
    "just too long": _post(b"", b"X-A: " + b"a" * (262144 - 62)) + GET,
    "body too large": _post(b"", b"Content-Length: 100000", length=False) + GET,
    "body just fits": _post(b"x" * (MAX_BODY - 1)) + GET,
    "length absurd": _post(b"", b"Content-Length: " + b"9" * 5000, length=False) + GET,
    "1.0 keep-alive": _post(b"a", b"Connection: Keep-Alive", version=b"1.0") + GET,
    "1.0 close": _post(b"a", version=b"1.0") + GET,
    "1.1 close": _post(b"a", b"Connection: close") + GET,
    "1.1 Close": _post(b"a", b"Connection: CLOSE") + GET,
    "connection list": _post(b"a", b"Connection: keep-alive, close") + GET,
    "head": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET,
    "pipelined": (_post(b"one") + _post(b"two") + GET) * 3,
    "garbage": b"\x16\x03\x01\x02\x00" + b"\x00" * 50 + b"\r\n\r\n" + GET,
}
for _path in ("none", "304", "stream", "nolength", "short", "long", "dated", "inject", "hop", "raise", "big"):
    for _version in (b"1.0", b"1.1"):
        SMUGGLING[f"/{_path} {_version.decode()}"] = _post(b"x", path=b"/" + _path.encode(), version=_version) + GET
        SMUGGLING[f"/{_path} head {_version.decode()}"] = b"HEAD /%s HTTP/%s\r\n\r\n" % (_path.encode(), _version) + GET


def test_hand_written_cases(sides: dict[str, Side]) -> None:
    for name, text in SMUGGLING.items():
        for pieces in ([text], [text[:-3], text[-3:]], [text[:7], text[7:40], text[40:]]):
            assert sides["fast"].exchange(pieces) == sides["stock"].exchange(pieces), name


def test_bytewise(sides: dict[str, Side]) -> None:
    for name, text in SMUGGLING.items():
        if len(text) < 500:
            pieces = [text[at : at + 1] for at in range(len(text))]
            assert sides["fast"].exchange(pieces) == sides["stock"].exchange(pieces), name


NAMES = [b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b"Expect", b"X-A", b"Content-Type", b"x_y"]
VALUES = [
    b"0",
    b"3",
    b"5",
    b"05",
    b"5,5",
    b"chunked",
    b"close",
    b"keep-alive",
    b"100-continue",
    b"",
    b"a b",
    b"\xe9",
    b"+1",
]
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n ", b"\r\n\t"]
SEPARATORS = [b": "] * 8 + [b":", b" :", b":\t", b" "]
LINES = [
    b"POST / HTTP/1.1",
    b"POST /stream HTTP/1.1",
    b"GET /a?b HTTP/1.1",
    b"POST / HTTP/1.0",
    b"get / HTTP/1.1",
    b"X",
]
MUTATIONS = [b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"0", b"_", b""]
BODIES = [b"", b"abc", b"hello", CHUNKED, b"0\r\n\r\n", b"3\r\nabc\r\n", GET]

header = st.builds(
    lambda name, separator, value, end: name + separator + value + end,
    st.sampled_from(NAMES),
    st.sampled_from(SEPARATORS),
    st.sampled_from(VALUES),
    st.sampled_from(ENDS),
)
request = st.builds(
    lambda line, end, headers, body: line + end + b"".join(headers) + b"\r\n" + body,
    st.sampled_from(LINES),
    st.sampled_from(ENDS),
    st.lists(header, max_size=5),
    st.sampled_from(BODIES),
)
edit = st.tuples(st.integers(0, 400), st.binary(max_size=2), st.integers(0, 2))
case = st.tuples(
    st.lists(request, min_size=1, max_size=3), st.lists(edit, max_size=2), st.lists(st.integers(1, 120), max_size=4)
)


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(case)
def test_generated_cases(
    sides: dict[str, Side], generated: tuple[list[bytes], list[tuple[int, bytes, int]], list[int]]
) -> None:
    requests, edits, cuts = generated
    text = b"".join(requests)
    for at, inserted, removed in edits:
        text = text[:at] + inserted + text[at + removed :]
    pieces = []
    for cut in cuts:
        pieces.append(text[:cut])
        text = text[cut:]
    pieces = [piece for piece in [*pieces, text] if piece]
    assert sides["fast"].exchange(pieces) == sides["stock"].exchange(pieces)


def test_mutated_cases(sides: dict[str, Side]) -> None:
    """The hand-written cases with random bytes changed: nearer to what smuggles than what is made from nothing."""
    chooser = random.Random(20261123)
    texts = [text for text in SMUGGLING.values() if len(text) < 2000]
    for _ in range(CASES):
        text = bytearray(chooser.choice(texts))
        for _ in range(chooser.randint(1, 4)):
            at = chooser.randrange(len(text))
            text[at : at + chooser.randint(0, 2)] = chooser.choice(
                [b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"0", b"_", b""]
            )
        cut = chooser.randrange(len(text) + 1)
        pieces = [bytes(part) for part in (text[:cut], text[cut:]) if part]
        assert sides["fast"].exchange(pieces) == sides["stock"].exchange(pieces), bytes(text)


def test_the_fast_paths_are_taken(sides: dict[str, Side], monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the comparisons above would compare stock waitress with itself."""
    from waitress.parser import HTTPRequestParser
    from waitress.task import WSGITask

    monkeypatch.setattr(HTTPRequestParser, "parse_header", lambda *_: pytest.fail("the stock parser was used"))
    monkeypatch.setattr(WSGITask, "execute", lambda *_: pytest.fail("a stock task was used"))
    answer, closed = sides["fast"].exchange([_post(b"hello", b"X-A: 1") + GET])
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert not closed
