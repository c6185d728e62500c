"""Everything that ``predict`` may return, and what becomes of it."""

from __future__ import annotations

from tests.conftest import Serve, eventually

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
