"""Payloads that would become much larger, or take very long, when they are read: refused, and the replica lives."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote_to_bytes

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_serving.payloads.percent_encoding import _SLICE_BYTES, unquote
from tests.conftest import Replica, Serve

MODEL = """
import pydantic
class Item(pydantic.BaseModel):
    number: int
class Payload(pydantic.BaseModel):
    items: list[Item] = []
    numbers: list[int] = []
    text: str = ""
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Payload):
        return len(payload.items), len(payload.numbers), len(payload.text)
"""
UNTYPED = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return len(payload["text"]) if "text" in payload else len(payload)
"""
MIB = 2**20
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


def _part(content: bytes, name: bytes = b"text", more: bytes = b"") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n' + more + b"\r\n"
    return head + content + b"\r\n--b--\r\n"


LISTS = b"[" + b"[]," * 5 * MIB + b"[]]"
EMOJI = "\U0001f600".encode()
# Predictor, content type, body, and the status of the answer.
CASES: dict[str, tuple[str, str, bytes, int]] = {
    "json: one wide character": (UNTYPED, "application/json", b'["' + b"a" * 20 * MIB + EMOJI + b'"]', 413),
    "json: one escaped one": (UNTYPED, "application/json", b'["' + b"a" * 20 * MIB + rb"\ud83d\ude00" + b'"]', 413),
    "json: wrong values": (MODEL, "application/json", b'{"numbers":["a"' + b',"a"' * MIB + b"]}", 413),
    "json: wrong values, fewer": (MODEL, "application/json", b'{"numbers":["a"' + b',"a"' * 150_000 + b"]}", 422),
    "urlencoded: escapes": (UNTYPED, URLENCODED, b"text=" + b"%41" * 5 * MIB, 200),
    "urlencoded: more escapes": (UNTYPED, URLENCODED, b"text=" + b"%41" * 10 * MIB, 413),
    "urlencoded: percent signs": (UNTYPED, URLENCODED, b"text=" + b"%" * 10 * MIB, 200),
    "urlencoded: one wide character": (UNTYPED, URLENCODED, b"text=" + b"a" * 20 * MIB + b"%F0%9F%98%80", 413),
    "urlencoded: json": (MODEL, URLENCODED, b"items=" + LISTS, 413),
    "urlencoded: many fields": (UNTYPED, URLENCODED, b"a&" * 10 * MIB, 400),
    "multipart: json": (MODEL, MULTIPART, _part(LISTS, b"items"), 413),
    "multipart: json in files": (
        MODEL,
        MULTIPART,
        _part(LISTS, b'items"; filename="a.json', b"Content-Type: application/json\r\n"),
        413,
    ),
    "multipart: one wide character": (UNTYPED, MULTIPART, _part(b"a" * 20 * MIB + EMOJI), 413),
    "multipart: many parts": (UNTYPED, MULTIPART, _part(b"")[:-7] * 2 * 10_000 + b"--b--\r\n", 400),
    "multipart: blanks in base64": (
        UNTYPED,
        MULTIPART,
        _part(b"QUJD " * 2 * MIB, more=b"Content-Transfer-Encoding: base64\r\n"),
        200,
    ),
    "multipart: slow codec": (
        UNTYPED,
        MULTIPART,
        _part(b"a" * 8 * MIB + b"-" + b"b" * MIB, more=b"Content-Type: text/plain; charset=punycode\r\n"),
        400,
    ),
    "multipart: parameters of a part": (
        UNTYPED,
        MULTIPART,
        _part(b"x", more=b'Content-Type: a; b="' + b";" * 8000 + b"\r\n") * 1000,
        400,
    ),
    "multipart: parameters": (UNTYPED, 'multipart/form-data; b="' + ";" * 60_000, b"x", 400),
}


@pytest.mark.parametrize("code", [UNTYPED, MODEL], ids=["untyped", "typed"])
def test_payloads_that_expand_are_refused(serve: Serve, code: str) -> None:
    replica = serve(code, compute={"mem": "256Mi"}, max_body_bytes=32 * MIB)
    worker = psutil.Process(replica.process.pid).children()[0]
    for name, (predictor, content_type, body, status) in CASES.items():
        if predictor == code:
            answer = _post(replica, body, content_type)
            assert answer.status_code == status, (name, answer.text[:300])
            assert status == 200 or "error" in answer.json(), name
            assert worker.memory_info().rss < 400 * MIB, name
    assert replica.get().json()["restarts"] == 0


def _post(replica: Replica, body: bytes, content_type: str) -> Any:
    start = time.monotonic()
    answer = replica.session.post(
        f"{replica.address}/api", data=body, headers={"Content-Type": content_type}, timeout=30
    )
    print(answer.status_code, len(body), f"{time.monotonic() - start:.2f} s", content_type[:50])
    return answer


def test_text_of_a_handler_names_a_charset_that_does_no_harm(serve: Serve) -> None:
    replica = serve(
        "class Handler:\n    def __init__(self, config): pass\n    def handle_post(self, payload): return payload\n"
    )
    for charset, status in {"latin-1": 200, '"UTF-8"': 200, "punycode": 400, "idna": 400, "x" * 100: 400}.items():
        answer = _post(replica, b"caf\xc3\xa9", f"text/plain; charset={charset}")
        assert answer.status_code == status, charset
    assert _post(replica, b"caf\xe9", "text/plain; format=flowed; charset=Latin1").text == "café"
    assert _post(replica, b"a", 'text/plain; a="' + ";" * 60_000).text == "a"


def test_ordinary_large_payloads_are_read(serve: Serve) -> None:
    replica = serve(MODEL, compute={"mem": "512Mi"})
    assert replica.post({"numbers": list(range(200_000))}).json() == [0, 200_000, 0]
    assert replica.post({"text": "漢" * MIB}).json() == [0, 0, MIB]
    answer = _post(replica, b"text=" + "漢字+%E6%BC%A2".encode() * 100_000, URLENCODED)
    assert answer.json() == [0, 0, 400_000]
    assert replica.post({"numbers": ["a"] * 2000}).json()["problems"][0]["problem"].startswith("2000 values")


@given(st.lists(st.sampled_from([b"%", b"4", b"1", b"%41", b"=", b"=41", b"a", b"%zz", b"\n", b"%0a", b"_"])))
def test_escapes_are_decoded_as_urllib_decodes_them(parts: list[bytes]) -> None:
    text = b"".join(parts)
    for before in (0, _SLICE_BYTES - 1, _SLICE_BYTES - 2, _SLICE_BYTES - 3):
        assert unquote(b"x" * before + text) == b"x" * before + unquote_to_bytes(text)
