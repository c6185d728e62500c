"""Problems of payloads whose type is a union: those of the alternative that fits best."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
import pytest

from cortex_serving.payloads.validation import InvalidPayload, PayloadType
from tests.conftest import Serve


@dataclass
class Flower:
    width: float
    length: float = 1.0


class Stone(pydantic.BaseModel):
    weight: float
    hardness: int


class Circle(pydantic.BaseModel):
    kind: Literal["circle"]
    r: float


class Square(pydantic.BaseModel):
    kind: Literal["square"]
    side: float


class Box(pydantic.BaseModel):
    things: list[Flower | Stone]
    more: dict[str, Circle | Square | int] = {}


class Deep(pydantic.BaseModel):
    inner: Box | Flower | None = None


Tagged = typing.Annotated[Circle | Square, pydantic.Field(discriminator="kind")]

CASES: list[tuple[Any, Any, list[str]]] = [
    (Flower | Stone, {"width": "x"}, ["Flower.width"]),
    (Flower | Stone, {"weight": "x"}, ["Stone.weight", "Stone.hardness"]),
    (Flower | Stone, {"weight": 1}, ["Stone.hardness"]),
    (Flower | Stone | None, {"length": 2}, ["Flower.width"]),
    (Flower | list[Flower], [{"width": "x"}], ["list[Flower].0.width"]),
    (Flower | int, "x", ["int"]),
    (Circle | Square, {"kind": "square"}, ["Square.side"]),
    (Circle | Square, {"kind": "square", "r": 1}, ["Square.side"]),
    (Circle | Square, {"kind": "triangle", "r": 1}, ["kind"]),
    (Tagged, {"kind": "square"}, ["square.side"]),
    (
        Box,
        {"things": [{"weight": "x", "hardness": 1}, {"width": []}]},
        ["things.0.Stone.weight", "things.1.Flower.width"],
    ),
    (Box, {"things": [], "more": {"a": {"kind": "circle"}, "b": "x"}}, ["more.a.Circle.r", "more.b.int"]),
    (Deep, {"inner": {"things": [{"width": "x"}]}}, ["inner.Box.things.0.Flower.width"]),
    (Deep, {"inner": {"width": "x"}}, ["inner.Flower.width"]),
    (Box, {"more": {}}, ["things"]),
]


@pytest.mark.parametrize(("hint", "value", "fields"), CASES)
def test_only_the_best_fitting_alternative_is_named(hint: Any, value: Any, fields: list[str]) -> None:
    with pytest.raises(InvalidPayload) as refused:
        PayloadType(hint).validate(value)
    assert [problem["field"] for problem in refused.value.problems] == fields


def test_a_tag_of_no_alternative_names_those_that_there_are(serve: Serve) -> None:
    replica = serve(
        """
        import pydantic, typing
        class Circle(pydantic.BaseModel):
            kind: typing.Literal["circle"]
            r: float
        class Square(pydantic.BaseModel):
            kind: typing.Literal["square"]
            side: float
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload: Circle | Square):
                return payload
        """
    )
    answer = replica.post({"kind": "triangle"})
    assert answer.status_code == 422
    assert answer.json()["problems"] == [{"field": "kind", "problem": "Input should be 'circle' or 'square'"}]
    form = replica.post(data={"kind": "square", "side": "long"})
    assert [problem["field"] for problem in form.json()["problems"]] == ["Square.side"]
