"""What Python values, files and forms are sent as."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from cortex_cli.request_body import FormPart, Part, from_data

from cortex_cdk.errors import PayloadError
from cortex_cdk.predict.content_types import type_of_file
from cortex_cdk.predict.values import NOTHING, call_of, file_content


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("SEVEN.PNG", "image/png"),
        ("photo.webp", "image/webp"),
        ("speech.wav", "audio/wav"),
        ("speech.mp3", "audio/mpeg"),
        ("rows.msgpack", "application/vnd.msgpack"),
        ("rows.npy", "application/x-npy"),
        ("rows.parquet", "application/vnd.apache.parquet"),
        ("rows.jsonl", "application/x-ndjson"),
        ("model.unknown", "application/octet-stream"),
    ],
)
def test_a_file_has_the_type_of_its_ending(name: str, sent: str) -> None:
    assert type_of_file(Path(name).suffix) == sent


@pytest.mark.parametrize(
    ("payload", "body", "sent"),
    [
        (b' {"a": 1}', b' {"a": 1}', "application/json"),
        (b"{a", b"{a", "application/octet-stream"),
        (b"12", b"12", "application/octet-stream"),
        ("a", b'"a"', "application/json"),
        (float("nan"), b"null", "application/json"),
        (io.StringIO("a,b"), b"a,b", "application/octet-stream"),
        (NOTHING, b"", None),
    ],
)
def test_a_value_becomes_a_body(payload: Any, body: bytes, sent: str | None) -> None:
    call = call_of(payload)
    assert (call.body, call.headers.get("Content-Type")) == (body, sent)


def test_a_content_type_that_is_given_counts() -> None:
    assert call_of("a,b", content_type="text/csv").body == b"a,b"
    assert call_of(b"x", headers={"content-type": "x/y"}).headers == {"content-type": "x/y"}


def test_a_form_repeats_lists_and_leaves_nothing_out_but_none() -> None:
    call = call_of(form={"a": [1, "ü"], "b": {"c": True}, "d": None, "e": False})
    assert call.body == b"a=1&a=%C3%BC&b=%7B%22c%22%3Atrue%7D&e=false"
    assert call_of({}, query={"a": [1, 2], "b": "x"}).query == [("a", "1"), ("a", "2"), ("b", "x")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: call_of({"a": object()}),
        lambda: call_of(1, form={"a": 1}),
        lambda: call_of(files={"a": 1}),
        lambda: call_of(files={"a": ("name",)}),
        lambda: file_content("no/such/file"),
    ],
)
def test_what_cannot_be_sent_is_refused(make: Any) -> None:
    with pytest.raises(PayloadError):
        make()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("top=3", Part("top", "3")),
        ("text=a;b=c", Part("text", "a;b=c")),
        ("text=x;type=text/csv", Part("text", "x", content_type="text/csv")),
        ("note=<note.txt", Part("note", "note.txt", from_file=True)),
        ("image=@a;b.png", Part("image", "a;b.png", from_file=True, as_upload=True)),
        ('i=@x;type=a/b; c=d;filename="n"', Part("i", "x", True, True, "a/b; c=d", "n")),
        ("empty=", Part("empty", "")),
    ],
)
def test_a_form_field_is_spelled_as_for_curl(text: str, part: Part) -> None:
    assert FormPart().convert(text, None, None) == part


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{"a": 1}', "application/json"),
        ("12", "application/json"),
        ("a=1&b=2", "application/x-www-form-urlencoded"),
        ("{a=1}", "application/json"),  # malformed, and the API says so
        ('{"a": "b=c"', "application/json"),
    ],
)
def test_data_is_json_unless_it_looks_like_a_form(text: str, sent: str) -> None:
    assert from_data(text) == (text.encode(), sent)
