"""Forms as all kinds of clients write them: nothing is lost or replaced silently."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Replica, running, write_project

ECHO = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload, query_params):
        return {
            "query": dict(query_params),
            "form": {
                name: value if isinstance(value, str) else [value.filename, value.content_type, value.read().hex()]
                for name, value in payload.items()
            },
        }
"""
MULTIPART = {"Content-Type": "multipart/form-data; boundary=abc"}
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    folder = write_project(tmp_path_factory.mktemp("forms") / "project", ECHO)
    with running([str(folder), "--listen=127.0.0.1:0"]) as started:
        yield started


def part(headers: str, content: bytes, disposition: str = 'Content-Disposition: form-data; name="t"') -> bytes:
    head = "\r\n".join(line for line in (disposition, headers) if line)
    return b"--abc\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--abc--\r\n"


FIELDS = {
    "": ("h\u00e9".encode(), "h\u00e9"),
    "Content-Transfer-Encoding: 8bit": ("h\u00e9".encode(), "h\u00e9"),
    "Content-Transfer-Encoding: 7bit": (b"he", "he"),
    "Content-Transfer-Encoding: binary": ("h\u00e9".encode(), "h\u00e9"),
    "content-transfer-encoding:8BIT": ("h\u00e9".encode(), "h\u00e9"),
    "Content-Transfer-Encoding: base64": (b"aMOp\r\n", "h\u00e9"),
    "Content-Transfer-Encoding: quoted-printable": (b"h=C3=A9", "h\u00e9"),
    "Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit": (b"h\xe9", "h\u00e9"),
    "Content-Type: application/json; charset=ISO-8859-1": (b'"h\xe9"', '"h\u00e9"'),
    "Content-Type: application/json": ('"h\u00e9"'.encode(), '"h\u00e9"'),
    "Content-Type:text/plain\r\nX-Other: 1": (b"he", "he"),
}


@pytest.mark.parametrize("headers", FIELDS)
def test_fields(replica: Replica, headers: str) -> None:
    content, expected = FIELDS[headers]
    answer = replica.post(data=part(headers, content), headers=MULTIPART)
    assert (answer.status_code, answer.json().get("form")) == (200, {"t": expected}), answer.text


FILE = 'Content-Disposition: form-data; name="f"; filename="a.bin"'
FILES = {
    "Content-Type: image/png": (b"\x89\xff", "89ff"),
    "Content-Type: image/png\r\nContent-Transfer-Encoding: binary": (b"\x89\xff", "89ff"),
    "Content-Transfer-Encoding: 8bit\r\nContent-Type: image/png": (b"\x89\xff", "89ff"),
    "Content-Type: image/png\r\nContent-Transfer-Encoding: base64": (b"if\r\n8=", "89ff"),
    "Content-Type: image/png\r\nContent-Transfer-Encoding: quoted-printable": (b"=89=FF", "89ff"),
}


@pytest.mark.parametrize("headers", FILES)
def test_files(replica: Replica, headers: str) -> None:
    content, expected = FILES[headers]
    answer = replica.post(data=part(headers, content, FILE), headers=MULTIPART)
    assert (answer.status_code, answer.json()["form"]) == (200, {"f": ["a.bin", "image/png", expected]}), answer.text


def test_headers_without_a_space(replica: Replica) -> None:
    body = part("", b"he", 'content-disposition:form-data; name="t"')
    assert replica.post(data=body, headers=MULTIPART).json()["form"] == {"t": "he"}


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ("Content-Transfer-Encoding: uuencode", b"x"),
        ("Content-Transfer-Encoding: base64", b"no base64!"),
        ("Content-Type: text/plain; charset=utf-8", b"h\xe9"),
        ("", b"h\xe9"),
        ("Content-Type: text/plain; charset=nothing", b"x"),
    ],
)
def test_multipart_that_is_refused(replica: Replica, headers: str, content: bytes) -> None:
    answer = replica.post(data=part(headers, content), headers=MULTIPART)
    assert (answer.status_code, answer.json()["error"].startswith("the body is not a valid multipart form: ")) == (
        400,
        True,
    )


@pytest.mark.parametrize("body", [b"a=%FC", b"%FC=a", b"a=\xfc", b"a=%C3%28", b"a=1&b=%80"])
def test_urlencoded_text_that_is_not_utf_8_is_refused(replica: Replica, body: bytes) -> None:
    answer = replica.post(data=body, headers=URLENCODED)
    assert (answer.status_code, answer.json()) == (400, {"error": "the body is not a valid form: it is not UTF-8 text"})


def test_urlencoded_text(replica: Replica) -> None:
    answer = replica.post(data="a=h%C3%A9&b=1+2&c=%00&d=\u00e9".encode(), headers=URLENCODED)
    assert answer.json()["form"] == {"a": "h\u00e9", "b": "1 2", "c": "\0", "d": "\u00e9"}


def test_query_strings(replica: Replica) -> None:
    assert replica.post(data="a=1", headers=URLENCODED, path="/api?q=h%C3%A9").json()["query"] == {"q": "h\u00e9"}
    answer = replica.post(data="a=1", headers=URLENCODED, path="/api?q=%FC")
    assert (answer.status_code, answer.json()) == (400, {"error": "the query string is not UTF-8 text"})
