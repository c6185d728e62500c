"""What an API takes, from the document that the serving program itself makes of type hints and samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import jsonschema
import pytest
from cortex_serving import UploadFile
from cortex_serving.api.openapi import Description as Served
from cortex_serving.payloads.validation import PayloadType
from cortex_serving.spec import parse_spec

from cortex_cdk.errors import PayloadError
from cortex_cdk.predict.answers import Prediction
from cortex_cdk.predict.api import call_to
from cortex_cdk.predict.description import Description, command_lines
from cortex_cdk.predict.events import Event, EventReader
from cortex_cdk.predict.values import NOTHING

SPEC = parse_spec({"name": "a", "endpoint": "/a", "predictor": {"type": "python", "path": "p.py"}})


@dataclass
class Point:
    x: float
    y: float = 1.0


@dataclass
class Everything:
    point: Point
    kind: Literal["round", "flat"]
    tags: list[str] = field(default_factory=list)
    more: Point | None = None


@dataclass
class Drawing:
    image: UploadFile
    top: int = 1


@dataclass
class MaybeDrawing:
    text: str
    image: UploadFile | None = None


def description(hint: Any = None, sample: Any = None) -> Description:
    expected = PayloadType(hint) if hint else None
    served = Served(SPEC, "1", expected, sample, result=lambda: None)
    return Description("a", served.openapi("/a"))


def test_fields_are_said_in_words() -> None:
    found = {each.name: (each.type, each.required) for each in description(Everything).fields}
    assert found == {
        "point": ("object (x, y)", True),
        "kind": ("'round' or 'flat'", True),
        "tags": ("list of texts", False),
        "more": ("object (x, y) or null", False),
    }
    assert [(each.type, each.required, each.is_file) for each in description(Drawing).fields] == [
        ("file", True, True),
        ("whole number", False, False),
    ]


@pytest.mark.parametrize("hint", [Everything, Point, list[Point], Point | Everything])
def test_the_schema_stands_alone_and_the_example_fits_it(hint: Any) -> None:
    known = description(hint)
    jsonschema.Draft202012Validator.check_schema(known.schema)
    jsonschema.validate(known.made_up, known.schema)
    assert next(command_lines(known)).startswith("cortex predict a --data ")


@pytest.mark.parametrize(
    ("known", "given", "problem"),
    [
        (description(Point), {"x": 1}, None),
        (description(Point), {"X": 1}, "a takes no X"),
        (description(Point), {"x": 1, "yy": 1}, "a takes no yy: did you mean y?"),
        (description(Point), {"y": 1}, "x (number) is missing"),
        (description(list[Point]), {"x": 1}, "a takes no x"),
        (description(Point | Everything), {"x": 1}, None),
        (description(sample={"word": "b"}), {"wrod": "c"}, "a takes no wrod: did you mean word?"),
        (description(sample={"word": "b"}), {"other": "c"}, None),
        (description(sample={"word": "b"}), {}, None),
        (description(), {"anything": 1}, None),
    ],
)
def test_fields_are_checked_by_their_names(known: Description, given: dict[str, Any], problem: str | None) -> None:
    if problem is None:
        known.check(given)
        return
    with pytest.raises(PayloadError) as refused:
        known.check(given)
    assert refused.value.message == problem


@pytest.mark.parametrize(
    ("known", "fields", "kind"),
    [
        (description(Point), {"x": 1}, "application/json"),
        (description(Drawing), {"image": b"1"}, "multipart/form-data"),
        (description(MaybeDrawing), {"text": "a"}, "application/json"),
        (description(MaybeDrawing), {"text": "a", "image": b"1"}, "multipart/form-data"),
    ],
)
def test_a_request_has_the_form_that_its_fields_need(known: Description, fields: dict[str, Any], kind: str) -> None:
    assert call_to(known, NOTHING, fields, {}).headers["Content-Type"].startswith(kind)
    assert call_to(known, fields, {}, {}).headers["Content-Type"].startswith(kind)


def test_events_are_put_together() -> None:
    reader = EventReader()
    lines = [": comment", "id: 7", "event: token", "data: a", "data:b", "", "", "data: 1", "", "data: unfinished"]
    found = [event for line in lines if (event := reader.take(line))]
    assert found == [Event("a\nb", "token", "7"), Event("1", "message", "7")]
    assert found[1].value() == 1


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/problem+json", b"[]", []),
        ("application/x-ndjson", b"1\n2\n", [1, 2]),
        ("text/plain; charset=latin-1", b"\xfc", "ü"),
        ("text/plain; charset=unknown", b"a", b"a"),
        ("image/png", b"a", b"a"),
        ("application/json", b"{", b"{"),
    ],
)
def test_an_answer_has_the_value_of_its_type(content_type: str, body: bytes, value: Any) -> None:
    assert Prediction(content_type, body).value() == value


def test_an_api_of_which_nothing_is_known_takes_any_file() -> None:
    known = description()
    assert list(command_lines(known)) == ["cortex predict a FILE"]
    said = " ".join(known.table())
    assert said.startswith("what a takes is up to its predictor")
    assert "JSON, forms, texts and files" in said
