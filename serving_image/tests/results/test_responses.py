"""Statuses, headers and streams of a predictor's choice."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.conftest import Replica, Serve, eventually

RETURNING = """
import asyncio, contextvars, pathlib, time
import anyio, falcon, starlette.exceptions, starlette.background
from starlette.responses import FileResponse, JSONResponse, StreamingResponse
from cortex_serving import Response

HERE = pathlib.Path(__file__).parent

def fail(error):
    raise error

def breaking(error):
    yield "one"
    raise error

async def words(*words):
    for word in words:
        await asyncio.sleep(0)
        yield word

async def forever(name):
    try:
        while True:
            yield "x" * 1000
            await asyncio.sleep(0.001)
    finally:
        await asyncio.sleep(0)
        (HERE / name).write_text("closed")

async def then_fail(first):
    if first is not None:
        yield first
    raise ValueError("later")

state = contextvars.ContextVar("state", default="lost")

async def in_one_task():
    state.set("kept")
    async with anyio.create_task_group() as group:
        yield "a"
        group.start_soon(asyncio.sleep, 0)
    with anyio.move_on_after(0.05):
        yield "b"
        await asyncio.sleep(100)
    yield state.get()

async def hand_in_hand(name):
    yield "first"
    while not (HERE / name).exists():
        time.sleep(0.01)
    yield "second"

def when(name, stream):
    (HERE / "begun").touch()
    while not (HERE / name).exists():
        time.sleep(0.01)
    return stream

def noting(name):
    try:
        yield from ["x" * 1000] * 500
    finally:
        (HERE / name).touch()

def cookies():
    response = JSONResponse([1])
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response

async def note(name):
    (HERE / name).write_text("done")

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return eval(payload)
"""
NEVER = [
    "Response('x', status_code=42)",
    "Response('x', status_code=600)",
    "Response('x', status_code=101)",
    "Response('x', status_code='fine')",
    "Response('x', headers={'X-A': 'y', 'X-Mine': 'two\\r\\nlines'})",
    "Response('x', headers={'X-Mine': '\\u65e5'})",
    "Response('x', headers={'X-A': 'y', 'X Mine': 'y'})",
    "Response('x', headers={'': 'y'})",
    "Response('x', headers={'X-Mine': None})",
    "Response('x', headers={'X-Mine': True})",
    "Response('x', headers={'X-Mine': {'y'}})",
    "Response('x', headers={'X-A': 'y', 'X-Mine': [['y']]})",
    "Response('x', headers={b'X-Mine': 'y'})",
    "Response('x', media_type='text/plain\\nX-Mine: y')",
    "fail(falcon.HTTPError(701))",
    "fail(falcon.HTTPStatus(200, headers={'X-Mine': 'a\\nb'}))",
    "fail(falcon.HTTPError(400, headers={'X-Mine': 'a\\nb'}))",
    "fail(starlette.exceptions.HTTPException(400, headers={'X-Mine': 'a\\nb'}))",
    "JSONResponse([], 199)",
    "FileResponse('/nowhere')",
    "StreamingResponse(then_fail(None))",
    "then_fail(None)",
    "then_fail('')",
    "StreamingResponse(then_fail(''))",
]


def test_what_cannot_be_sent_is_a_500_that_says_why(serve: Serve) -> None:
    replica = serve(RETURNING)
    for source in NEVER:
        logged = len(replica.lines)
        answer = replica.post(source)
        assert (answer.status_code, answer.json()["error"]) == (500, "internal server error"), source
        assert answer.headers["X-Request-Id"]
        assert "X-Mine" not in answer.headers and "X-A" not in answer.headers, source
        (line,) = eventually(lambda: [line for line in replica.lines[logged:] if line["level"] == "ERROR"])  # noqa: B023
        assert line["request_id"] == answer.headers["X-Request-Id"], source
    assert any("'fine' is no HTTP status that a response can have" in text for text in replica.messages(level="ERROR"))
    assert any(text.startswith("header x-mine cannot have the value") for text in replica.messages(level="ERROR"))


def test_headers_of_a_predictors_choice(serve: Serve) -> None:
    replica = serve(RETURNING)
    several = replica.post("Response([], headers={'Set-Cookie': ['a=1', 'b=2'], 'Vary': ['x', 'y'], 'X-Count': 3})")
    assert several.raw.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert (several.headers["Vary"], several.headers["X-Count"]) == ("x, y", "3")
    pairs = replica.post("Response([], headers=[('Set-Cookie', 'a=1'), ('X-A', 'y'), ('Set-Cookie', 'b=2')])")
    assert pairs.raw.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert replica.post("Response([], headers={'Set-Cookie': 'a=1'})").headers["Set-Cookie"] == "a=1"
    assert [text.split(";")[0] for text in replica.post("cookies()").raw.headers.getlist("Set-Cookie")] == [
        "a=1",
        "b=2",
    ]
    cookie = replica.post("fail(falcon.HTTPError(401, headers={'Set-Cookie': 'a=1'}))")
    assert (cookie.status_code, cookie.headers["Set-Cookie"]) == (401, "a=1")

    passed_on = {
        "Connection": "close",
        "Transfer-Encoding": "chunked",
        "Content-Length": "7",
        "X-Request-Id": "theirs",
        "X-Cortex-Api": "theirs",
        "Server-Timing": "db;dur=1",
        "Content-Type": "text/csv",
    }
    answer = replica.post(f"Response('a,b', headers={passed_on!r})", headers={"X-Request-Id": "ours"})
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, "a,b", "text/csv")
    assert answer.raw.headers.getlist("X-Request-Id") == ["ours"]
    assert answer.raw.headers.getlist("X-Cortex-Api") == ["api"]
    assert answer.headers["Server-Timing"].startswith("db;dur=1")
    assert "queue;dur=" in answer.headers["Server-Timing"]
    assert "Connection" not in answer.headers

    for status in (204, 304):
        empty = replica.post(f"Response('ignored', {status})")
        assert (empty.status_code, empty.content) == (status, b"")
    assert not replica.messages(level="WARNING")


STREAMS = {
    "words('a', 'b')": ("text/plain; charset=utf-8", b"ab"),
    "words({'a': 1}, [2])": ("application/x-ndjson", b'{"a":1}\n[2]\n'),
    "words()": ("text/plain; charset=utf-8", b""),
    "words(None, 1)": ("application/x-ndjson", b"null\n1\n"),
    "(word for word in [None, 1])": ("application/x-ndjson", b"null\n1\n"),
    "Response(words('a', 'b'), media_type='text/event-stream')": ("text/event-stream", b"data: a\n\ndata: b\n\n"),
    "StreamingResponse(words('a', b'b'), media_type='text/css')": ("text/css; charset=utf-8", b"ab"),
    "StreamingResponse(iter(['a', 'b']), media_type='text/css')": ("text/css; charset=utf-8", b"ab"),
    "StreamingResponse(words())": (None, b""),
    "in_one_task()": ("text/plain; charset=utf-8", b"abkept"),
    "StreamingResponse(in_one_task())": (None, b"abkept"),
}


def test_asynchronous_streams(serve: Serve) -> None:
    replica = serve(RETURNING)
    for source, expected in STREAMS.items():
        answer = replica.post(source)
        assert answer.status_code == 200, source
        assert (answer.headers.get("Content-Type"), answer.content) == expected, source
    with pytest.raises(Exception, match=r"ended prematurely|Connection broken"):
        _ = replica.post("then_fail('first')").content
    assert replica.post("words('still', 'there')").text == "stillthere"


def test_files_and_background_tasks_of_starlette(serve: Serve, tmp_path: Path) -> None:
    replica = serve(RETURNING)
    big = bytes(range(256)) * 4000
    (tmp_path / "big.bin").write_bytes(big)
    answer = replica.post(f"FileResponse({str(tmp_path / 'big.bin')!r}, filename='big.bin', status_code=203)")
    assert (answer.status_code, answer.content) == (203, big)
    assert answer.headers["Content-Length"] == str(len(big))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="big.bin"'
    project = tmp_path / "project"
    answer = replica.post("JSONResponse([1], background=starlette.background.BackgroundTask(note, 'noted'))")
    assert answer.json() == [1]
    eventually((project / "noted").exists)


@pytest.mark.parametrize("source", ["forever('gone')", "StreamingResponse(forever('gone'))"])
def test_a_client_that_goes_ends_the_stream(serve: Serve, tmp_path: Path, source: str) -> None:
    replica = serve(RETURNING)
    with replica.session.post(replica.address, json=source, stream=True, timeout=20) as answer:
        assert next(answer.iter_content(10)) == b"x" * 10
    eventually((tmp_path / "project" / "gone").exists)
    assert replica.post("words('next')").text == "next"


def _send(replica: Replica, source: str) -> socket.socket:
    """Send a request on a connection that is reset when it is closed."""
    connection = replica.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    body = json.dumps(source).encode()
    head = f"POST /api HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def _connections(replica: Replica) -> list[Any]:
    [worker] = psutil.Process(replica.process.pid).children()
    return [each for each in worker.net_connections() if each.status == psutil.CONN_ESTABLISHED]


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_a_client_that_goes_before_the_stream_begins_ends_it(serve: Serve, tmp_path: Path, mode: str) -> None:
    project = tmp_path / "project"
    replica = serve(RETURNING, environ={"CORTEX_HTTP": mode})
    connection = _send(replica, "when('go', noting('ended'))")
    eventually((project / "begun").exists)
    connection.close()
    eventually(lambda: not _connections(replica))
    (project / "go").touch()
    eventually((project / "ended").exists)
    eventually(lambda: replica.messages(source="access"))  # it is counted like any other


def test_clients_that_go_in_the_middle_are_nothing_to_log(serve: Serve) -> None:
    replica = serve(RETURNING)
    for n in range(300):
        with _send(replica, "iter(['x' * 1000] * 500)") as connection:
            connection.recv(1 + n * 100)
    assert replica.post("words('next')").text == "next"
    replica.stop()
    assert not replica.messages(level="ERROR")


@pytest.mark.parametrize("source", ["hand_in_hand('seen')", "StreamingResponse(hand_in_hand('seen'))"])
def test_pieces_are_sent_before_the_next_is_worked_on(serve: Serve, tmp_path: Path, source: str) -> None:
    replica = serve(RETURNING)
    with replica.session.post(replica.address, json=source, stream=True, timeout=20) as answer:
        pieces = answer.iter_content(None)
        assert next(pieces) == b"first"
        (tmp_path / "project" / "seen").touch()
        assert next(pieces) == b"second"


def _events(body: str) -> list[str]:
    """The data of events as a client of server-sent events reads them (html.spec.whatwg.org, 9.2.6)."""
    events = []
    for block in body.split("\n\n")[:-1]:
        lines = [line.removeprefix("data:") for line in block.split("\n")]
        events.append("\n".join(line.removeprefix(" ") for line in lines))
    return events


def test_events_keep_their_line_ends(serve: Serve) -> None:
    replica = serve(RETURNING)
    tokens = ["Hello", "\n", "\n\n", " two\nlines\n", "", "\x0b\u2028\x85", "data: x"]
    for maker in ("iter", "words"):
        items = f"iter({tokens!r})" if maker == "iter" else f"words(*{tokens!r})"
        answer = replica.post(f"Response({items}, media_type='text/event-stream')")
        assert _events(answer.content.decode()) == tokens


FAILING = {
    "events": ("Response(BROKEN, media_type='text/event-stream')", True),
    "events of starlette": ("StreamingResponse(BROKEN, media_type='text/event-stream; charset=utf-8')", True),
    "text": ("BROKEN", False),
    "lines": ("Response(BROKEN, media_type='application/x-ndjson')", False),
    "starlette": ("StreamingResponse(BROKEN)", False),
}


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_an_exception_in_the_middle_of_a_stream_is_told_to_the_client_and_counted(serve: Serve, mode: str) -> None:
    replica = serve(RETURNING, environ={"CORTEX_HTTP": mode})
    raised = {"ValueError('secret')": "internal server error", "falcon.HTTPConflict(description='seen')": "seen"}
    for source, events in FAILING.values():
        for error, reason in raised.items():
            broken = source.replace("BROKEN", f"breaking({error})")
            with replica.session.post(
                replica.address, json=broken, headers={"X-Request-Id": "mine"}, stream=True, timeout=20
            ) as answer:
                assert answer.status_code == 200
                received = b""
                try:
                    for piece in answer.iter_content(None):
                        received += piece
                    whole = True
                except requests.exceptions.ChunkedEncodingError:
                    whole = False
            assert whole == events, broken
            assert b"secret" not in received
            if events:
                last = received.decode().split("\n\n")[-2]
                assert last == f'event: error\ndata: {{"error":"{reason}","request_id":"mine"}}'
    assert replica.post("words('still', 'there')").text == "stillthere"
    assert replica.stop() == 0
    count = len(FAILING) * len(raised)
    assert len(replica.messages(level="ERROR", request_id="mine")) == count
    assert [record["status"] for record in replica.records(source="access", request_id="mine")] == [500] * count
    assert sum(record.get("Responses5XX", 0) for record in replica.lines) == count


YIELDS = {
    "yields": "yield payload",
    "yields asynchronously": "yield payload",
    "returns a stream": "return iter(payload)",
    "does not": "return payload",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", YIELDS)
def test_streams_on_one_thread_are_warned_about_once(serve: Serve, kind: str, threads: int) -> None:
    define = "async def" if kind == "yields asynchronously" else "def"
    code = f"""
    class PythonPredictor:
        def __init__(self, config): pass
        {define} predict(self, payload):
            {YIELDS[kind]}
    """
    replica = serve(code, threads_per_process=threads)
    at_start = len(replica.messages(level="WARNING"))
    for _ in range(3):
        assert replica.post("ab").status_code == 200
    assert replica.stop() == 0
    warnings = replica.messages(level="WARNING")
    assert len(warnings) == (threads == 1 and kind != "does not")
    assert at_start == len(warnings) if "yields" in kind else at_start == 0
    assert all("threads_per_process" in text for text in warnings)


def test_options_for_the_whole_server(serve: Serve) -> None:
    replica = serve(RETURNING)
    with replica.connect() as connection:
        connection.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = _read(connection)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"Allow: GET, POST, OPTIONS" in answer


def _read(connection: socket.socket) -> bytes:
    pieces: list[Any] = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)
