"""Forms, files, compressed bodies, typed payloads, and everything that ``predict`` may return."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from tests.conftest import Replica, Serve, eventually

KINDS = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        if hasattr(payload, "multi_items"):
            return {name: _show(value) for name, value in payload.multi_items()}
        return {"type": type(payload).__name__, "value": payload if not isinstance(payload, bytes) else len(payload)}

def _show(value):
    if isinstance(value, str):
        return value
    return [value.filename, value.content_type, len(value.file.read())]
"""


@pytest.fixture
def kinds(serve: Serve) -> Replica:
    return serve(KINDS, max_body_bytes=3_000_000)


def test_forms_and_files(kinds: Replica) -> None:
    assert kinds.post(data={"a": "1", "b": "ü"}).json() == {"a": "1", "b": "ü"}
    big = b"x" * 2_000_000
    files = {"image": ("cat.png", big, "image/png"), "note": (None, "hello")}
    assert kinds.post(files=files).json() == {"image": ["cat.png", "image/png", len(big)], "note": "hello"}
    fields = {"about": (None, '{"a": "ü"}', "application/json"), "rows": (None, "1,2", "text/csv")}
    assert kinds.post(files=fields).json() == {"about": '{"a": "ü"}', "rows": "1,2"}
    assert kinds.post(files={"about": (None, b"\xff", "application/json")}).status_code == 400


def test_a_broken_form_is_a_400_with_a_reason(kinds: Replica) -> None:
    answer = kinds.post(data=b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not a valid multipart form")
    answer = kinds.post(data=b"\xff=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_bodies(kinds: Replica, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}[encoding]
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert kinds.post(data=pack(b"[1, 2]"), headers=headers).json() == {"type": "list", "value": [1, 2]}
    bomb = kinds.post(data=pack(b" " * 50_000_000), headers=headers)
    assert bomb.status_code == 413
    damaged = kinds.post(data=pack(b"[1, 2]")[:-4], headers=headers)
    assert damaged.status_code == 400
    assert damaged.json()["error"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_bodies_compressed_in_parts(kinds: Replica, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}[encoding]
    headers = {"Content-Type": "application/octet-stream", "Content-Encoding": encoding}
    parts = pack(b"x" * 100_000) + pack(b"") + pack(b"y" * 5)
    assert kinds.post(data=parts, headers=headers).json() == {"type": "bytes", "value": 100_005}
    assert kinds.post(data=pack(b"") * 9_999 + pack(b"abc"), headers=headers).json() == {"type": "bytes", "value": 3}
    many = kinds.post(data=pack(b"") * 10_001, headers=headers)
    assert (many.status_code, many.json()["error"]) == (400, f"the body has more than 10000 parts of {encoding}")
    assert kinds.post(data=pack(b"abc") + b"more", headers=headers).status_code == 400
    assert kinds.post(data=pack(b"abc") + pack(b"abc")[:-3], headers=headers).status_code == 400


def test_a_zstd_frame_cannot_ask_for_any_memory(kinds: Replica) -> None:
    far = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    frame = zstandard.ZstdCompressor(compression_params=far).compressobj()
    body = frame.compress(b"x" * 1000) + frame.flush()
    answer = kinds.post(data=body, headers={"Content-Type": "text/plain", "Content-Encoding": "zstd"})
    assert answer.status_code == 400
    assert "memory" in answer.json()["error"].lower()


def test_an_unknown_encoding_is_a_415(kinds: Replica) -> None:
    answer = kinds.post(data=b"x", headers={"Content-Encoding": "br"})
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "gzip, zstd"


def test_a_body_over_the_limit_is_a_413(kinds: Replica) -> None:
    with kinds.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        answer = connection.recv(65536)
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]
    assert kinds.post([1]).status_code == 200


TYPED = """
from __future__ import annotations
import dataclasses
import pydantic

class Flower(pydantic.BaseModel):
    width: float
    name: str = "iris"

@dataclasses.dataclass
class Batch:
    flowers: list[Flower]
    top: int = 1

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Batch):
        assert isinstance(payload, Batch) and isinstance(payload.flowers[0], Flower)
        return payload.flowers[0]
"""


def test_typed_payloads_are_validated(serve: Serve) -> None:
    replica = serve(TYPED)
    answer = replica.post({"flowers": [{"width": 1.5}]})
    assert answer.json() == {"width": 1.5, "name": "iris"}
    wrong = replica.post({"flowers": [{"width": "wide"}], "top": []})
    assert wrong.status_code == 422
    assert {problem["field"] for problem in wrong.json()["problems"]} == {"flowers.0.width", "top"}
    assert replica.post([]).status_code == 422
    assert replica.post(data=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    document = replica.get("/api/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    schema = document["paths"]["/api"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["flowers"]
    assert "Flower" in document["components"]["schemas"]


HINTS = """
from __future__ import annotations
import dataclasses, typing
import numpy, pydantic, typing_extensions

class Point(typing.NamedTuple):
    x: int
    y: int = 0

class Flower(pydantic.BaseModel):
    width: float

Item = typing.TypeVar("Item")

@dataclasses.dataclass
class Page(typing.Generic[Item]):
    item: Item

Named = typing.NewType("Named", Flower)

class Image(pydantic.BaseModel, arbitrary_types_allowed=True):
    pixels: typing.Annotated[numpy.ndarray, pydantic.BeforeValidator(numpy.array)]

Flowers = typing_extensions.TypeAliasType("Flowers", list[Flower])
Tree = typing_extensions.TypeAliasType("Tree", typing.Union[Flower, dict[str, "Tree"]])

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: HINT):
        return [type(payload).__name__, payload]
"""

# What is taken, what the predictor gets of it, what is refused, and the field that is named then
HINTED: dict[str, tuple[object, object, object, str]] = {
    "typing.Annotated[list[Flower], pydantic.Field(min_length=1)]": (
        [{"width": 1}],
        ["list", [{"width": 1.0}]],
        [],
        "(payload)",
    ),
    "typing.Iterable[Flower]": ([{"width": 1}], ["list", [{"width": 1.0}]], [{"width": "x"}], "0.width"),
    "Flowers": ([{"width": "1"}], ["list", [{"width": 1.0}]], [{"width": "x"}], "0.width"),
    "Tree": ({"a": {"width": 1}}, ["dict", {"a": {"width": 1.0}}], [], "Flower"),
    "Page[int]": ({"item": "1"}, ["Page", {"item": 1}], {"item": "x"}, "item"),
    "Named": ({"width": 1}, ["Flower", {"width": 1.0}], {}, "width"),
    "Point": ({"x": "1"}, ["Point", [1, 0]], ["x"], "0"),
    "Image": ({"pixels": [[1]]}, ["Image", {"pixels": [[1]]}], {}, "pixels"),
}


@pytest.mark.parametrize("hint", HINTED)
def test_hints_that_describe_a_structure_less_plainly(serve: Serve, hint: str) -> None:
    taken, seen, refused, field = HINTED[hint]
    replica = serve(HINTS.replace("HINT", hint))
    assert replica.post(taken).json() == seen
    answer = replica.post(refused)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"].startswith(field)
    assert replica.get("/api/openapi.json").status_code == 200


FAILED = b'{"error":"internal server error","request_id":"mine"}'
RETURNS = {
    "'text'": (200, "text/plain; charset=utf-8", b"text"),
    "b'\\x00raw'": (200, "application/octet-stream", b"\x00raw"),
    "[1, None, 'ü']": (200, "application/json", '[1,null,"ü"]'.encode()),
    "None": (200, "application/json", b"null"),
    "{1: 2}": (200, "application/json", b'{"1":2}'),
    "float('nan')": (200, "application/json", b"null"),
    "numpy.arange(4).reshape(2, 2)": (200, "application/json", b"[[0,1],[2,3]]"),
    "numpy.arange(4).reshape(2, 2).T": (200, "application/json", b"[[0,2],[1,3]]"),
    "{'x': numpy.float32(0.5), 'n': numpy.int64(3)}": (200, "application/json", b'{"x":0.5,"n":3}'),
    "Model(x=1)": (200, "application/json", b'{"x":1}'),
    "[Data(1)]": (200, "application/json", b'[{"x":1}]'),
    "Response({'a': 1}, 201, {'X-Mine': 'y'})": (201, "application/json", b'{"a":1}'),
    "Response(b'png', media_type='image/png')": (200, "image/png", b"png"),
    "starlette.responses.Response(b'hi', 202, {'X-Mine': 'y'}, 'text/css')": (202, "text/css; charset=utf-8", b"hi"),
    "starlette.responses.JSONResponse([1])": (200, "application/json", b"[1]"),
    "(part for part in ['a', 'b'])": (200, "text/plain; charset=utf-8", b"ab"),
    "(part for part in [{'a': 1}, [2]])": (200, "application/x-ndjson", b'{"a":1}\n[2]\n'),
    "(part for part in [])": (200, "text/plain; charset=utf-8", b""),
    "Response((part for part in ['a', {'b': 1}]), media_type='text/event-stream')": (
        200,
        "text/event-stream",
        b'data: a\n\ndata: {"b":1}\n\n',
    ),
    "{numpy.int64(1): 2, numpy.float32(1.5): 3}": (200, "application/json", b'{"1":2,"1.5":3}'),
    "[float('nan'), 1 << 70, float('inf')]": (200, "application/json", b"[null,1180591620717411303424,null]"),
    "{None: 1 << 70, True: numpy.nan, Colour.RED: 1, uuid.UUID(int=1): 2, datetime.date(2026, 1, 2): 3, 1.5: 4}": (
        200,
        "application/json",
        b'{"null":1180591620717411303424,"true":null,"red":1,"00000000-0000-0000-0000-000000000001":2,'
        b'"2026-01-02":3,"1.5":4}',
    ),
    "{'set': {1}, 'pair': Pair(1, 'b'), 'queue': collections.deque([1]), 'range': range(2)}": (
        200,
        "application/json",
        b'{"set":[1],"pair":[1,"b"],"queue":[1],"range":[0,1]}',
    ),
    "[decimal.Decimal('1.50'), decimal.Decimal('3'), decimal.Decimal('NaN')]": (
        200,
        "application/json",
        b"[1.5,3,null]",
    ),
    "[datetime.timedelta(seconds=90), datetime.time(1, tzinfo=datetime.timezone.utc), numpy.timedelta64(2500, 'ms')]": (
        200,
        "application/json",
        b'[90.0,"01:00:00+00:00",2.5]',
    ),
    "[pathlib.Path('/a/b'), Colour.RED, b'text', numpy.longdouble(0.5), numpy.array([Data(1)])]": (
        200,
        "application/json",
        b'["/a/b","red","text",0.5,[{"x":1}]]',
    ),
    "[Data([Model(x=1)]), 1 << 70]": (200, "application/json", b'[{"x":[{"x":1}]},1180591620717411303424]'),
    "'\\ud800'.join(['[', ']'])": (500, "application/json", FAILED),
    "['\\ud800']": (200, "application/json", b'["\\ud800"]'),
    "object()": (500, "application/json", FAILED),
    "fail(ValueError('secret'))": (500, "application/json", FAILED),
    "fail(falcon.HTTPNotFound(description='no such flower'))": (404, "application/json", b'{"error":"no such flower"}'),
    "fail(starlette.exceptions.HTTPException(418, 'teapot'))": (418, "text/plain; charset=utf-8", b"teapot"),
    "(fail(ValueError('early')) for _ in [1])": (500, "application/json", FAILED),
}

RETURNING = """
import collections, dataclasses, datetime, decimal, enum, pathlib, uuid
import falcon, numpy, pydantic, starlette.exceptions, starlette.responses
from cortex_serving import Response

class Model(pydantic.BaseModel):
    x: int

@dataclasses.dataclass
class Data:
    x: int

class Colour(enum.Enum):
    RED = "red"

Pair = collections.namedtuple("Pair", "a b")

def cycle():
    value = []
    value.append(value)
    return value

def fail(error):
    raise error

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return eval(payload)
"""


def test_everything_that_predict_may_return(serve: Serve) -> None:
    replica = serve(RETURNING)
    for source, expected in RETURNS.items():
        answer = replica.post(source, headers={"X-Request-Id": "mine"})
        assert (answer.status_code, answer.headers["Content-Type"], answer.content) == expected, source
        assert answer.headers["X-Request-Id"], source
    assert replica.post("Response({'a': 1}, 201, {'X-Mine': 'y'})").headers["X-Mine"] == "y"
    eventually(lambda: any("object: " in text and "may return" in text for text in replica.messages(level="ERROR")))


UNWRITABLE = {
    "{'a': {(1, 2): 3}}": "a dict has the key (1, 2): keys must be text, numbers, dates or None",
    "[b'\\xff']": "bytes inside JSON must be UTF-8 text: encode others with base64",
    "cycle()": "it contains itself, or is nested too deeply",
    "[Model]": "Model has no form in JSON",
    "{'a': numpy.complex64(1)}": "complex has no form in JSON",
}


def test_what_has_no_form_in_json_is_said_in_the_log(serve: Serve) -> None:
    replica = serve(RETURNING)
    for source in UNWRITABLE:
        answer = replica.post(source)
        assert (answer.status_code, answer.json()["error"]) == (500, "internal server error")
    replica.stop()
    said = [text for text in replica.messages(level="ERROR") if text.startswith("predict returned")]
    assert len(said) == len(UNWRITABLE)
    for text, reason in zip(said, UNWRITABLE.values(), strict=True):
        assert reason in text
        assert "\n" not in text


def test_streams_come_as_they_are_produced(serve: Serve, tmp_path: Path) -> None:
    replica = serve(
        f"""
        import os, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                yield "first"
                while not os.path.exists({str(tmp_path / "go")!r}):
                    time.sleep(0.01)
                if payload == "fail":
                    raise ValueError("in the middle")
                yield "second"
        """
    )
    with replica.session.post(replica.address, json=1, stream=True, timeout=20) as answer:
        pieces = answer.iter_content(None)
        assert next(pieces) == b"first"
        (tmp_path / "go").touch()
        assert b"".join(pieces) == b"second"
    with pytest.raises(Exception, match=r"ended prematurely|Connection broken"):
        _ = replica.post("fail").content
    assert replica.post(1).text == "firstsecond"


def test_cors(serve: Serve) -> None:
    replica = serve(KINDS)
    preflight = replica.session.options(
        replica.address + "/api",
        headers={"Origin": "http://x", "Access-Control-Request-Headers": "content-type"},
        timeout=10,
    )
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type"
    answer = replica.post([], headers={"Origin": "http://x"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


HEADERS = """
def describe(headers, query_params):
    return {
        "tags": headers.getlist("X-Tag"), "joined": headers["x-tag"], "once": headers.getlist("x-once"),
        "none": headers.getlist("X-None"), "type": headers.getlist("Content-Type"), "query": str(query_params),
    }

class PythonPredictor:
    def __init__(self, config):
        pass
    def predict(self, headers, query_params):
        if isinstance(headers, list):
            return [describe(*request) for request in zip(headers, query_params)]
        return describe(headers, query_params)
"""
REQUEST = b"""\
POST /api?a=1&a=b+c HTTP/1.1
Host: a
Connection: close
X-Tag: a, b
X-Once: c, d
x-tag:  e\x20
Content-Type: text/plain
Content-Length: 0

"""


@pytest.mark.parametrize("options", [{}, {"server_side_batching": {"max_batch_size": 2, "batch_interval": "1ms"}}])
def test_headers_that_come_several_times(serve: Serve, options: dict[str, object]) -> None:
    """As those of Starlette: ``getlist`` has them one by one, commas and all."""
    with serve(HEADERS, **options).connect() as connection:
        connection.sendall(REQUEST.replace(b"\n", b"\r\n"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "tags": ["a, b", "e"],
        "joined": "a, b, e",
        "once": ["c, d"],
        "none": [],
        "type": ["text/plain"],
        "query": "a=1&a=b+c",
    }
