"""Payloads with a type that come as forms: converted, validated, described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LENIENT, Serve, schemathesis

HEAD = """
from __future__ import annotations
import dataclasses, datetime, decimal, enum, typing
import pydantic, typing_extensions
from cortex_serving import UploadFile
"""

MODEL = """
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Size(pydantic.BaseModel):
    width: int

class Order(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=5)
    count: int = 1
    price: decimal.Decimal | None = None
    express: bool = False
    colours: list[Colour] = []
    stars: typing.Literal[1, 2, 3] = 1
    day: datetime.date | None = None
    numbers: list[int] | None = None
    size: Size | None = None
    sizes: list[Size] = []
    pair: tuple[int, str] | None = None
    one_or_more: int | list[int] = 0
    renamed: int = pydantic.Field(0, alias="Renamed")
    raw: bytes = b""

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Order):
        assert isinstance(payload, Order)
        return payload.model_dump(mode="json", exclude_unset=True)
"""

SENT: list[tuple[Any, Any]] = [
    ({"name": "a"}, {"name": "a"}),
    (
        {"name": "a", "count": "3", "price": "1.50", "express": "on", "day": "2026-01-02", "stars": "2"},
        {"name": "a", "count": 3, "price": "1.50", "express": True, "day": "2026-01-02", "stars": 2},
    ),
    ({"name": "a", "count": "", "price": "", "day": "", "colours": ""}, {"name": "a"}),
    ([("name", "a"), ("colours", "red"), ("colours", "blue")], {"name": "a", "colours": ["red", "blue"]}),
    ({"name": "a", "colours": "red"}, {"name": "a", "colours": ["red"]}),
    ([("name", "a"), ("numbers", "1"), ("numbers", "2")], {"name": "a", "numbers": [1, 2]}),
    ({"name": "a", "numbers": "[1, 2]"}, {"name": "a", "numbers": [1, 2]}),
    ([("name", "a"), ("pair", "1"), ("pair", "2")], {"name": "a", "pair": [1, "2"]}),
    ({"name": "a", "one_or_more": "1"}, {"name": "a", "one_or_more": 1}),
    ([("name", "a"), ("one_or_more", "1"), ("one_or_more", "2")], {"name": "a", "one_or_more": [1, 2]}),
    ({"name": "a", "size": '{"width": 2}'}, {"name": "a", "size": {"width": 2}}),
    ([("name", "a"), ("sizes", '{"width": 2}')] * 2, {"name": "a", "sizes": [{"width": 2}] * 2}),
    ({"name": "a", "sizes": '[{"width": 2}]'}, {"name": "a", "sizes": [{"width": 2}]}),
    ([("name", "a"), ("name", "b")], {"name": "b"}),
    ({"name": "a", "Renamed": "1", "unknown": "x"}, {"name": "a", "renamed": 1}),
    ({"name": "a", "raw": "text"}, {"name": "a", "raw": "text"}),
]

REFUSED: list[tuple[Any, set[str]]] = [
    ({}, {"name"}),
    ({"name": "too long", "count": "many", "day": "soon"}, {"name", "count", "day"}),
    ([("name", "a"), ("colours", "red"), ("colours", "grey")], {"colours.1"}),
    ({"name": "a", "size": "large"}, {"size"}),
    ({"name": "a", "size": '{"width": "wide"}'}, {"size.width"}),
    ({"name": "a", "stars": "4"}, {"stars"}),
]


def test_fields_are_converted_and_validated(serve: Serve) -> None:
    replica = serve(HEAD + MODEL)
    for fields, expected in SENT:
        pairs = list(fields.items()) if isinstance(fields, dict) else fields
        for body in ({"data": fields}, {"files": [(name, (None, value)) for name, value in pairs]}):
            answer = replica.post(**body)
            assert (answer.status_code, answer.text and answer.json()) == (200, expected), body
    for fields, wrong in REFUSED:
        answer = replica.post(data=fields, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 422, fields
        assert {problem["field"] for problem in answer.json()["problems"]} == wrong
    forgotten = replica.post(data='{"name": "a"}', headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert forgotten.status_code == 422
    [problem] = forgotten.json()["problems"]
    assert problem["field"] == "(payload)"
    assert "Content-Type: application/json" in problem["problem"]
    broken = replica.post(data=b"\xff=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert broken.status_code == 400
    assert replica.post({"name": "a", "numbers": [1]}).json() == {"name": "a", "numbers": [1]}
    content = replica.get("/api/openapi.json").json()["paths"]["/api"]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json"], "forms with objects in them are taken, but not promised"


FILES = """
@dataclasses.dataclass
class Scan:
    image: UploadFile
    thumbnail: bytes
    pages: list[bytes] = dataclasses.field(default_factory=list)
    note: str = "none"
    about: dict[str, int] | None = None

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Scan):
        image = payload.image
        return [image.filename, image.content_type, len(image.read()), len(payload.thumbnail),
                [len(page) for page in payload.pages], payload.note, payload.about]
"""


def test_files(serve: Serve) -> None:
    replica = serve(HEAD + FILES)
    big = b"x" * 2_000_000
    image, thumbnail = ("image", ("cat.png", big, "image/png")), ("thumbnail", ("t.png", b"small", "image/png"))
    note, about = ("note", (None, "hello")), ("about", ("blob", b'{"a": 1}', "application/json"))
    pages = [("pages", (f"{n}.txt", b"x" * n, "text/plain")) for n in (1, 2)]
    answer = replica.post(files=[image, thumbnail, *pages, note, about])
    assert answer.json() == ["cat.png", "image/png", len(big), 5, [1, 2], "hello", {"a": 1}]
    not_chosen = ("pages", ("", b"", "application/octet-stream"))
    answer = replica.post(files=[image, thumbnail, not_chosen])
    assert answer.json() == ["cat.png", "image/png", len(big), 5, [], "none", None]
    wrong = replica.post(files=[("image", (None, "text")), note])
    assert wrong.status_code == 422
    assert {problem["field"] for problem in wrong.json()["problems"]} == {"image", "thumbnail"}
    said = replica.post({"image": "text", "thumbnail": "text"}).json()["problems"]
    assert said == [{"field": "image", "problem": "Input should be a file of a multipart form"}]


SHAPES = """
class Size(pydantic.BaseModel):
    width: int

class Typed(typing_extensions.TypedDict):
    a: int
    b: list[int]

class Cat(pydantic.BaseModel):
    kind: typing.Literal["cat"]
    lives: int

class Dog(pydantic.BaseModel):
    kind: typing.Literal["dog"]
    lives: list[int]
    bones: list[str]

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: HINT):
        return payload
"""


def test_other_types(serve: Serve) -> None:
    sent = {"typed": {"a": "1", "b": ["2", "3"]}, "cat": {"kind": "cat", "lives": "9"}, "sizes": {"a": '{"width": 1}'}}
    dog = {"kind": "dog", "lives": ["1", "2"]}
    for hint, fields, expected in [
        ("Typed", sent["typed"], {"a": 1, "b": [2, 3]}),
        ("Typed | None", sent["typed"], {"a": 1, "b": [2, 3]}),
        ("dict[str, Size]", sent["sizes"], {"a": {"width": 1}}),
        ("typing.Annotated[Cat | Dog, pydantic.Field(discriminator='kind')]", sent["cat"], {"kind": "cat", "lives": 9}),
        ("Cat | Dog", dog, {"kind": "dog", "lives": [1, 2], "bones": []}),
        ("list[Size]", {"width": "1"}, None),
    ]:
        replica = serve(HEAD + SHAPES.replace("HINT", hint))
        answer = replica.post(data=fields)
        assert (answer.status_code, answer.json()) == (200, expected) if expected else answer.status_code == 422, hint
        replica.stop()


FLAT = """
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Flower(pydantic.BaseModel):
    width: float = pydantic.Field(ge=0, le=100)
    name: str = pydantic.Field("iris", max_length=10, pattern="^[a-z]*$")
    colours: list[Colour] = pydantic.Field([], max_length=3)
    stars: typing.Literal[1, 2, 3] = 1
    top: int | None = None
    tall: bool = False
    picked: datetime.date | None = None

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Flower) -> Flower:
        return payload
"""


def test_forms_are_described_and_keep_what_the_description_says(serve: Serve, tmp_path: Path) -> None:
    replica = serve(HEAD + FLAT)
    content = replica.get("/api/openapi.json").json()["paths"]["/api"]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    assert content["multipart/form-data"]["schema"]["properties"]["top"]["type"] == "integer"
    schemathesis(replica, tmp_path, *LENIENT)


def test_a_file_that_must_be_there_leaves_multipart_only(serve: Serve) -> None:
    code = FILES.replace("    about: dict[str, int] | None = None\n", "    about: str | None = None\n")
    document = serve(HEAD + code).get("/api/openapi.json").json()
    content = document["paths"]["/api"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    image = content["multipart/form-data"]["schema"]["properties"]["image"]
    assert (image["type"], image["contentMediaType"]) == ("string", "application/octet-stream")
    assert json.dumps(document).count("null") == 0


OPTIONAL_FILES = """
class Note(pydantic.BaseModel):
    text: str
    file: UploadFile | None = None
    more: list[UploadFile] = []

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Note):
        return [payload.text, payload.file and payload.file.filename, len(payload.more)]
"""


def test_files_that_may_be_missing_leave_json_without_them(serve: Serve) -> None:
    replica = serve(HEAD + OPTIONAL_FILES)
    content = replica.get("/api/openapi.json").json()["paths"]["/api"]["post"]["requestBody"]["content"]
    described = {kind: list(of["schema"]["properties"]) for kind, of in content.items()}
    assert described == {"application/json": ["text"], "multipart/form-data": ["text", "file", "more"]}
    assert replica.post({"text": "a"}).json() == ["a", None, 0]
    assert replica.post(data={"text": "a"}).json() == ["a", None, 0]
    assert replica.post(data={"text": "a"}, files={"file": ("f", b"x")}).json() == ["a", "f", 0]


DEFAULTS = """
class Options(pydantic.BaseModel):
    count: int = 1
    note: str = pydantic.Field("", alias="{note}")

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Options):
        return [payload.count, payload.note]
"""


def test_json_that_comes_as_a_form_is_refused_even_where_every_field_has_a_default(serve: Serve) -> None:
    replica = serve(HEAD + DEFAULTS)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in ('{"count": 2}', '{"a": "b=c&d"}', "{}", "[1]"):
        answer = replica.post(data=body, headers=form)
        assert answer.status_code == 422, body
        assert "Content-Type: application/json" in answer.json()["problems"][0]["problem"]
    assert replica.post(data={"{note}": "x", "count": "2"}).json() == [2, "x"]
    assert replica.post(data="", headers=form).json() == [1, ""]


STRICT = """
import datetime, enum, pydantic

class Color(enum.Enum):
    RED = "red"

class Flower(pydantic.BaseModel, strict=True):
    picked: datetime.date
    color: Color
    size: tuple[float, int]
    count: int = 1

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Flower):
        return payload
"""


def test_strict_types_take_what_json_and_forms_can_say(serve: Serve) -> None:
    replica = serve(STRICT)
    flower = {"picked": "2026-11-28", "color": "red", "size": [1.5, 2], "count": 3}
    assert replica.post(flower).json() == flower
    wrong = replica.post({**flower, "count": "3"})
    assert [problem["field"] for problem in wrong.json()["problems"]] == ["count"]
    deep = replica.post(
        data=b'{"picked": ' + b"[" * 300 + b"]" * 300 + b"}", headers={"Content-Type": "application/json"}
    )
    assert "picked" in {problem["field"] for problem in deep.json()["problems"]}
    form = replica.post(data={**flower, "size": ["1.5", "2"]})
    assert form.json() == flower


# Payloads that a body may be which is nothing but a file.
BODIES = {
    "UploadFile": "UploadFile",
    "UploadFile or None": "typing.Optional[UploadFile]",
    "a field": "Photo",
    "a field of bytes": "Raw",
    "the only field that is required": "Titled",
}
PHOTOS = """
@dataclasses.dataclass
class Photo:
    image: UploadFile

class Raw(pydantic.BaseModel):
    image: bytes

class Titled(pydantic.BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    image: UploadFile
    title: str = "none"

class Named(Titled):
    title: str

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: HINT):
        image = getattr(payload, "image", payload)
        if isinstance(image, bytes):
            return [image.hex(), "", ""]
        return [image.read().hex(), image.content_type, image.filename]
"""


@pytest.mark.parametrize("kind", BODIES)
def test_a_file_as_the_body(serve: Serve, kind: str) -> None:
    replica = serve(HEAD + PHOTOS.replace("HINT", BODIES[kind]))
    for content_type in ("image/png", "application/octet-stream", "text/csv", "application/pdf"):
        answer = replica.post(data=b"\x89PNG\xff", headers={"Content-Type": content_type})
        expected = "" if kind == "a field of bytes" else content_type
        assert (answer.status_code, answer.json()) == (200, [b"\x89PNG\xff".hex(), expected, ""]), content_type
    form = replica.post(files={"image": ("a.png", b"PNG", "image/png")})
    assert (form.status_code, form.json()[0]) == (200, b"PNG".hex())
    content = replica.get("/api/openapi.json").json()["paths"]["/api"]["post"]["requestBody"]["content"]
    assert content["application/octet-stream"]["schema"] == {"type": "string", "format": "binary"}
    assert replica.post({"other": 1}).status_code == 422


def test_a_file_alone_is_refused_where_more_is_required(serve: Serve) -> None:
    replica = serve(HEAD + PHOTOS.replace("HINT", "Named"))
    answer = replica.post(data=b"PNG", headers={"Content-Type": "image/png"})
    assert (answer.status_code, "as a form" in answer.json()["error"]) == (415, True)
