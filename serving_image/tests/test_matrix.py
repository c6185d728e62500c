"""Every class of predictor, with every kind of payload, and everything that ``predict`` may return or raise.

There is a replica per class, with a predictor that does what the request tells it: ``?do=`` is evaluated there, with
``seen`` (what kind of payload arrived, and its value) and ``model`` (what the class's own model made of [[1, 2]]). So
each answer shows what was received, that the model ran, and how the result was written.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import zstandard

from tests.conftest import Replica, eventually, running, write_project
from tests.model_files import save_onnx_model, save_tensorflow_model, tensorflow_or_skip

COMMON = """
import asyncio, dataclasses, decimal, functools
import falcon, fastapi, fastapi.responses, numpy, pydantic, starlette.exceptions, starlette.responses
from cortex_serving import Response

class Model(pydantic.BaseModel):
    x: str

@dataclasses.dataclass
class Data:
    x: str

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

def fail(error):
    raise error

def failing(error, *items):
    yield from items
    raise error

def describe(payload):
    if hasattr(payload, "multi_items"):
        fields = [f"{name}={field(value)}" for name, value in payload.multi_items()]
        return f"{type(payload).__name__} " + "&".join(fields)
    return f"{type(payload).__name__} {payload!r}"

def field(value):
    if isinstance(value, str):
        return value
    return f"{value.filename}:{value.content_type}:{len(value.file.read())}"

class Predictor:
    def predict(self, payload, query_params):
        seen, model = describe(payload), self.model([[1, 2]])
        return eval(query_params["do"])

class BatchPredictor(Predictor):
    def predict(self, payload, query_params):
        return [self.one(*request) for request in zip(payload, query_params, strict=True)]

    def one(self, *request):
        try:
            return super().predict(*request)
        except BaseException as error:
            return error
"""

CLASSES = {
    "python": """
class PythonPredictor(Predictor):
    def __init__(self, config):
        self.model = lambda rows: numpy.array(rows, dtype="float32") * 2
""",
    "python in batches": """
class PythonPredictor(BatchPredictor):
    def __init__(self, config):
        self.model = lambda rows: numpy.array(rows, dtype="float32") * 2
""",
    "onnx": """
class ONNXPredictor(Predictor):
    def __init__(self, onnx_client, config):
        self.model = lambda rows: onnx_client.predict(rows)[0]
""",
    "tensorflow": """
class TensorFlowPredictor(Predictor):
    def __init__(self, tensorflow_client, config):
        self.model = lambda rows: numpy.array(tensorflow_client.predict({"x": rows})["y"], dtype="float32")
""",
}


@pytest.fixture(scope="module", params=CLASSES)
def replica(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    kind, _, batched = request.param.partition(" ")
    folder: Path = tmp_path_factory.mktemp(kind) / "project"
    options: dict[str, Any] = {"type": kind, "max_body_bytes": 1_000_000}
    if batched:
        options["server_side_batching"] = {"max_batch_size": 2, "batch_interval": "1ms"}
    if kind == "tensorflow":
        save_tensorflow_model(tensorflow_or_skip(), folder / "model")
    if kind == "onnx":
        save_onnx_model(folder / "model" / "twice.onnx", 2.0)
    if kind != "python":
        options["model_path"] = "model"
    project = write_project(folder, COMMON + CLASSES[request.param], **options)
    with running([str(project), "--listen", "127.0.0.1:0"]) as started:
        yield started


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _sent(body: bytes | str | None, content_type: str | None, encoding: str | None = None) -> dict[str, Any]:
    headers = {"Content-Type": content_type, "Content-Encoding": encoding}
    return {"data": body, "headers": {name: value for name, value in headers.items() if value is not None}}


JSON, FORM, TEXT, BYTES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/octet-stream",
)
zstd = zstandard.ZstdCompressor().compress
CHUNKS = b'["in ', b'chunks"]'

# What is sent, and what the predictor sees of it.
PAYLOADS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "JSON object": (lambda: _sent('{"a": [1, null, true], "é": 2.5}', JSON), "dict {'a': [1, None, True], 'é': 2.5}"),
    "JSON array": (lambda: _sent("[1]", "Application/JSON; charset=utf-8"), "list [1]"),
    "JSON string": (lambda: _sent('"\\u00fc"', JSON), "str 'ü'"),
    "JSON number": (lambda: _sent("1e3", JSON), "float 1000.0"),
    "JSON null": (lambda: _sent("null", JSON), "NoneType None"),
    "JSON, gzip": (lambda: _sent(gzip.compress(b'{"a": 1}'), JSON, "gzip"), "dict {'a': 1}"),
    "JSON, zstd": (lambda: _sent(zstd(b'{"a": 1}'), JSON, "zstd"), "dict {'a': 1}"),
    "JSON, chunked": (lambda: {**_sent(None, JSON), "data": iter(CHUNKS)}, "list ['in chunks']"),
    "form": (lambda: _sent("a=1&b=%C3%BC&a=2&c=", FORM), "FormData a=1&b=ü&a=2&c="),
    "form, gzip": (lambda: _sent(gzip.compress(b"a=1"), FORM, "gzip"), "FormData a=1"),
    "multipart": (
        lambda: {"files": [("cat", ("cat.png", b"\x89PNG" * 100_000, "image/png")), ("note", (None, "hi"))]},
        "FormData cat=cat.png:image/png:400000&note=hi",
    ),
    "text": (lambda: _sent("grüß".encode(), TEXT), "bytes b'gr\\xc3\\xbc\\xc3\\x9f'"),
    "bytes": (lambda: _sent(b"\x00\xff", BYTES), "bytes b'\\x00\\xff'"),
    "bytes, zstd": (lambda: _sent(zstd(b"\x00\xff"), BYTES, "zstd"), "bytes b'\\x00\\xff'"),
    "image": (lambda: _sent(b"\x89PNG", "image/png"), "bytes b'\\x89PNG'"),
    "no content type": (lambda: _sent(b"raw", None), "bytes b'raw'"),
    "nothing": (lambda: _sent(None, None), "bytes b''"),
}


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str | None
    body: bytes
    headers: dict[str, str | None] = field(default_factory=dict)


PLAIN = "text/plain; charset=utf-8"
EVENTS = "text/event-stream"
ERROR = Answer(500, JSON, b'{"error":"internal server error","request_id":"mine"}')

# What the predictor evaluates, and the answer for what it has seen.
RETURNS: dict[str, Callable[[str], Answer]] = {
    "{'seen': seen, 'model': model.tolist()}": lambda seen: Answer(
        200, JSON, _json({"seen": seen, "model": [[2.0, 4.0]]})
    ),
    "[seen, 1, 0.5, True, None, {}]": lambda seen: Answer(200, JSON, _json([seen, 1, 0.5, True, None, {}])),
    "(seen, 1)": lambda seen: Answer(200, JSON, _json([seen, 1])),
    "{1: seen}": lambda seen: Answer(200, JSON, _json({"1": seen})),
    "None": lambda seen: Answer(200, JSON, b"null"),
    "len(seen)": lambda seen: Answer(200, JSON, b"%d" % len(seen)),
    "[2**70]": lambda seen: Answer(200, JSON, b"[1180591620717411303424]"),
    "functools.reduce(lambda value, _: [value], range(500), seen)": lambda seen: Answer(
        200, JSON, b"[" * 500 + _json(seen) + b"]" * 500
    ),
    "False": lambda seen: Answer(200, JSON, b"false"),
    "[float('nan'), float('inf')]": lambda seen: Answer(200, JSON, b"[null,null]"),
    "seen": lambda seen: Answer(200, PLAIN, seen.encode()),
    "''": lambda seen: Answer(200, PLAIN, b""),
    "seen.encode()": lambda seen: Answer(200, BYTES, seen.encode()),
    "bytearray(seen.encode())": lambda seen: Answer(200, BYTES, seen.encode()),
    "model": lambda seen: Answer(200, JSON, b"[[2.0,4.0]]"),
    "model.T[::-1]": lambda seen: Answer(200, JSON, b"[[4.0],[2.0]]"),
    "{'top': model.max(), 'at': model.argmax(), seen: model}": lambda seen: Answer(
        200, JSON, _json({"top": 4.0, "at": 1, seen: [[2.0, 4.0]]})
    ),
    "Model(x=seen)": lambda seen: Answer(200, JSON, _json({"x": seen})),
    "{'many': [Model(x=seen), Data(seen)]}": lambda seen: Answer(200, JSON, _json({"many": [{"x": seen}] * 2})),
    "Data(seen)": lambda seen: Answer(200, JSON, _json({"x": seen})),
    "Response({'a': seen}, 201, {'X-Mine': 'y'})": lambda seen: Answer(201, JSON, _json({"a": seen}), {"X-Mine": "y"}),
    "Response(seen, media_type='text/csv')": lambda seen: Answer(200, "text/csv", seen.encode()),
    "Response(seen.encode(), 404, media_type='image/png')": lambda seen: Answer(404, "image/png", seen.encode()),
    "Response(seen, headers={'Content-Type': 'text/html'})": lambda seen: Answer(200, "text/html", seen.encode()),
    "Response(status_code=204)": lambda seen: Answer(204, BYTES, b"", {"Content-Length": None}),
    "starlette.responses.Response(seen, 202, {'X-Mine': 'y'}, 'text/css')": lambda seen: Answer(
        202, "text/css; charset=utf-8", seen.encode(), {"X-Mine": "y"}
    ),
    "starlette.responses.JSONResponse({'a': seen}, 418)": lambda seen: Answer(418, JSON, _json({"a": seen})),
    "starlette.responses.RedirectResponse('/there')": lambda seen: Answer(307, None, b"", {"Location": "/there"}),
    "fastapi.Response(seen)": lambda seen: Answer(200, None, seen.encode()),
    "fastapi.responses.HTMLResponse(seen)": lambda seen: Answer(200, "text/html; charset=utf-8", seen.encode()),
    "(part for part in [seen, 'b'])": lambda seen: Answer(200, PLAIN, seen.encode() + b"b"),
    "(part for part in [b'a', seen.encode()])": lambda seen: Answer(200, BYTES, b"a" + seen.encode()),
    "(part for part in [{'a': seen}, model])": lambda seen: Answer(
        200, "application/x-ndjson", _json({"a": seen}) + b"\n[[2.0,4.0]]\n"
    ),
    "iter([])": lambda seen: Answer(200, PLAIN, b""),
    "Response((part for part in [seen, {'b': 1}, 'two\\nlines']), media_type='text/event-stream')": lambda seen: Answer(
        200, EVENTS, b"data: " + seen.encode() + b'\n\ndata: {"b":1}\n\ndata: two\ndata: lines\n\n'
    ),
    "Response((part for part in [seen]), 206, {'X-Mine': 'y'}, 'text/csv')": lambda seen: Answer(
        206, "text/csv", seen.encode(), {"X-Mine": "y"}
    ),
    # What cannot be sent
    "object()": lambda seen: ERROR,
    "{seen}": lambda seen: Answer(200, JSON, _json([seen])),
    "[decimal.Decimal(1), seen]": lambda seen: Answer(200, JSON, _json([1, seen])),
    "{(seen, 1): 2}": lambda seen: ERROR,
    "[object()]": lambda seen: ERROR,
    "[knot := [seen], knot.append(knot)]": lambda seen: ERROR,
    "Response(object(), 201, {'X-Mine': 'y'})": lambda seen: Answer(500, JSON, ERROR.body, {"X-Mine": None}),
    # Errors that speak HTTP
    "fail(falcon.HTTPBadRequest(description=seen))": lambda seen: Answer(400, JSON, _json({"error": seen})),
    "fail(falcon.HTTPBadRequest(title='wrong'))": lambda seen: Answer(400, JSON, b'{"error":"wrong"}'),
    "fail(falcon.HTTPUnauthorized(description=seen, challenges=['Basic']))": lambda seen: Answer(
        401, JSON, _json({"error": seen}), {"WWW-Authenticate": "Basic"}
    ),
    "fail(falcon.HTTPForbidden())": lambda seen: Answer(403, JSON, b'{"error":"403 Forbidden"}'),
    "fail(falcon.HTTPUnprocessableEntity(description=seen))": lambda seen: Answer(422, JSON, _json({"error": seen})),
    "fail(falcon.HTTPTooManyRequests(description=seen, headers={'Retry-After': '7'}))": lambda seen: Answer(
        429, JSON, _json({"error": seen}), {"Retry-After": "7"}
    ),
    "fail(falcon.HTTPServiceUnavailable(description=seen))": lambda seen: Answer(
        503, JSON, _json({"error": seen}), {"Retry-After": "1"}
    ),
    "fail(falcon.HTTPError(599, description=seen))": lambda seen: Answer(599, JSON, _json({"error": seen})),
    "fail(falcon.HTTPFound('/there'))": lambda seen: Answer(302, None, b"", {"Location": "/there"}),
    "fail(starlette.exceptions.HTTPException(418, seen, {'X-Mine': 'y'}))": lambda seen: Answer(
        418, PLAIN, seen.encode(), {"X-Mine": "y"}
    ),
    "fail(fastapi.HTTPException(409, detail=seen))": lambda seen: Answer(409, PLAIN, seen.encode()),
    "fail(fastapi.HTTPException(404))": lambda seen: Answer(404, PLAIN, b"Not Found"),
    # Errors that do not
    "fail(ValueError(seen))": lambda seen: ERROR,
    "fail(KeyError)": lambda seen: ERROR,
    "fail(Unspeakable())": lambda seen: ERROR,
    "(lambda f: f(f))(lambda f: f(f))": lambda seen: ERROR,  # recursion without end
    "model.reshape(3, 3)": lambda seen: ERROR,
    "fail(SystemExit(3))": lambda seen: ERROR,
    "fail(KeyboardInterrupt())": lambda seen: ERROR,
    "fail(asyncio.CancelledError())": lambda seen: ERROR,
    "failing(ValueError(seen))": lambda seen: ERROR,
    "failing(SystemExit(3))": lambda seen: ERROR,
    "failing(falcon.HTTPConflict(description=seen))": lambda seen: Answer(409, JSON, _json({"error": seen})),
}


@pytest.mark.parametrize("do", RETURNS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_matrix(replica: Replica, payload: str, do: str) -> None:
    make, seen = PAYLOADS[payload]
    expected = RETURNS[do](seen)
    sent = make()
    sent["headers"] = {**sent.get("headers", {}), "X-Request-Id": "mine"}
    answer = replica.post(params={"do": do}, allow_redirects=False, **sent)
    assert (answer.status_code, answer.content) == (expected.status, expected.body)
    assert answer.headers.get("Content-Type") == expected.content_type
    for name, value in expected.headers.items():
        assert answer.headers.get(name) == value, name
    assert answer.headers["X-Request-Id"]
    assert answer.headers["X-Cortex-Api"] == "api"


# What is sent, the answer's status and type, and a part of what it says.
REFUSED: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "JSON": (_sent("{", JSON), 400, JSON, "not valid JSON"),
    "no JSON": (_sent(None, JSON), 400, JSON, "not valid JSON"),
    "gzip": (_sent(b"[1]", JSON, "gzip"), 400, JSON, "not gzip"),
    "gzip cut off": (_sent(gzip.compress(b"[1]")[:-1], JSON, "gzip"), 400, JSON, "ends too early"),
    "JSON in gzip": (_sent(gzip.compress(b"{"), JSON, "gzip"), 400, JSON, "not valid JSON"),
    "gzip bomb": (_sent(gzip.compress(bytes(2_000_000)), BYTES, "gzip"), 413, JSON, "larger than 1000000 bytes"),
    "zstd": (_sent(b"[1]", JSON, "zstd"), 400, JSON, "not zstd"),
    "zstd cut off": (_sent(zstd(b"[1]")[:-1], JSON, "zstd"), 400, JSON, "ends too early"),
    "zstd bomb": (_sent(zstd(bytes(2_000_000)), BYTES, "zstd"), 413, JSON, "larger than 1000000 bytes"),
    "encoding": (_sent(b"x", BYTES, "br"), 415, JSON, "supported are gzip, zstd"),
    "form": (_sent(b"a=%ff\xff", FORM), 400, JSON, "not a valid form"),
    "multipart": (_sent(b"--x\r\nbroken", "multipart/form-data; boundary=x"), 400, JSON, "not a valid multipart"),
    "boundary": (_sent(b"--x", "multipart/form-data"), 400, JSON, "not a valid multipart"),
    "length": (_sent(bytes(1_000_001), BYTES), 413, JSON, "Request Entity Too Large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_before_predict(replica: Replica, case: str) -> None:
    sent, status, content_type, text = REFUSED[case]
    answer = replica.post(params={"do": "fail(SystemExit('predict was called'))"}, **sent)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert text in (answer.json()["error"] if content_type == JSON else answer.text)


@pytest.mark.parametrize("error", ["ValueError('early')", "SystemExit(3)", "falcon.HTTPConflict()"])
def test_an_error_in_the_middle_of_a_stream_cuts_it_off(replica: Replica, error: str) -> None:
    with pytest.raises(requests.RequestException):
        replica.post(1, params={"do": f"failing({error}, 'a', 'b')"})


def test_none_of_it_ended_a_worker(replica: Replica) -> None:
    state = eventually(lambda: (told := replica.get().json())["in_flight"] == 0 and told)
    assert (state["state"], state["restarts"]) == ("ready", 0)
    assert replica.post(1, params={"do": "seen"}).text == "int 1"
    assert replica.stop() == 0
