"""schemathesis against ``/openapi.json``: whatever it makes of the document, nothing fails, and answers conform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LENIENT, Serve, schemathesis

HEAD = """
from __future__ import annotations
import dataclasses, decimal, enum, typing, uuid
import pydantic, typing_extensions
"""

PYDANTIC = """
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Flower(pydantic.BaseModel):
    width: float = pydantic.Field(ge=0, le=100)
    name: str = pydantic.Field("iris", max_length=10, pattern="^[a-z]*$")
    tags: dict[str, list[str]] = {}
    colour: Colour | None = None
    where: typing.Literal["garden", "pot"] = "pot"
    parent: Flower | None = None

class Query(pydantic.BaseModel):
    model_config = {"extra": "forbid"}
    flowers: list[Flower] = pydantic.Field(max_length=5)
    top: int = 1
    id: uuid.UUID | None = None

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Query) -> Query:
        return payload
"""

DATACLASS = """
@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5

@dataclasses.dataclass
class Path:
    points: list[Point]
    labels: dict[str, bool] = dataclasses.field(default_factory=dict)
    closed: bool | None = None

class Summary(typing_extensions.TypedDict):
    length: int
    first: list[Point]

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Path, query_params, headers) -> Summary:
        return {"length": len(payload.points), "first": payload.points[:1]}
"""

UNLENIENT = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return payload
"""

BATCHED = """
class Item(typing_extensions.TypedDict):
    name: str
    count: typing_extensions.NotRequired[int]

class Answer(pydantic.BaseModel):
    text: str
    price: decimal.Decimal = decimal.Decimal("1.5")

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: list[Item]) -> list[Answer | Exception]:
        return [Answer(text=f"{item['name']} {item.get('count', 0)}") for item in payload]
"""

DECIMAL = """
class Offer(pydantic.BaseModel):
    price: decimal.Decimal

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Offer) -> Offer:
        return payload
"""

MODELS = """
class Question(pydantic.BaseModel):
    model: str
    version: str = "latest"

class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client
    def load_model(self, model_path):
        return open(model_path + "/weights").read()
    def predict(self, payload: Question):
        return self.client.get_model(payload.model, payload.version)
"""

SAMPLE = {"text": "hello", "numbers": [1, 2.5], "deep": {"flag": True, "nothing": None}}
# Code, options of the API, the sample request, what schemathesis is told besides
PROJECTS: dict[str, tuple[str, dict[str, Any], Any, tuple[str, ...]]] = {
    "pydantic": (PYDANTIC, {}, {"flowers": [{"width": 1.5}]}, LENIENT),
    "dataclass": (DATACLASS, {}, None, LENIENT),
    "decimal": (DECIMAL, {}, None, LENIENT),
    "untyped with a sample": (UNLENIENT, {}, SAMPLE, LENIENT),
    "untyped": (UNLENIENT, {}, None, ()),
    "batches": (BATCHED, {"server_side_batching": {"max_batch_size": 8, "batch_interval": "1ms"}}, None, LENIENT),
    "many models": (
        MODELS,
        {"models": {"dir": "models", "cache_size": 2, "disk_cache_size": 4}},
        {"model": "m1"},
        LENIENT,
    ),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_schemathesis(serve: Serve, tmp_path: Path, name: str) -> None:
    code, options, sample, arguments = PROJECTS[name]
    for n in range(5):
        folder = tmp_path / "project" / "models" / f"m{n}"
        folder.mkdir(parents=True)
        (folder / "weights").write_text(f"model {n}")
    if sample is not None:
        (tmp_path / "project" / "sample.json").write_text(json.dumps(sample))
    replica = serve(HEAD + code, **options)
    assert "2 selected / 2 total" in schemathesis(replica, tmp_path, *arguments), "it tested nothing"
    assert replica.get().json()["restarts"] == 0


RESULTS = """
class Flower(pydantic.BaseModel):
    name: str = pydantic.Field("iris", alias="Name")

class Result(pydantic.BaseModel):
    kept: list[Flower]

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload: Flower) -> Result:
        return Result(kept=[payload])
"""


def test_the_document_describes_results(serve: Serve) -> None:
    replica = serve(HEAD + RESULTS)
    document = replica.get("/api/openapi.json").json()
    answers = document["paths"]["/api"]["post"]["responses"]
    schemas = document["components"]["schemas"]
    assert list(answers) == ["200", "400", "413", "415", "422", "500", "503", "504", "default"]
    kept = answers["200"]["content"]["application/json"]["schema"]["properties"]["kept"]
    [name] = schemas.keys() - {"CortexError", "CortexProblems"}
    assert kept["items"] == {"$ref": f"#/components/schemas/{name}"}
    assert list(schemas[name]["properties"]) == list(replica.post({"Name": "rose"}).json()["kept"][0]) == ["Name"]


@pytest.mark.parametrize(
    "hint", ["typing.Iterator[Flower]", "Flower | PythonPredictor", "dict", "Nowhere", "str", "None"]
)
def test_a_result_that_cannot_be_described_is_left_open(serve: Serve, hint: str) -> None:
    code = RESULTS.replace("payload: Flower) -> Result", f"payload) -> {hint}").replace(
        "Result(kept=[payload])", "payload"
    )
    replica = serve(HEAD + code)
    document = replica.get("/api/openapi.json").json()
    assert document["paths"]["/api"]["post"]["responses"]["200"]["content"] == {"*/*": {}}
    assert replica.post([1]).json() == [1]


def test_the_document_names_the_header_that_clients_may_send(serve: Serve) -> None:
    """Client generators that take several content types for several arguments want an optional one beside them."""
    replica = serve(HEAD + RESULTS.replace(") -> Result", ")"))
    post = replica.get("/api/openapi.json").json()["paths"]["/api"]["post"]
    assert {"application/json", "multipart/form-data"} <= post["requestBody"]["content"].keys()
    [parameter] = post["parameters"]
    assert (parameter["in"], parameter.get("required", False)) == ("header", False)
    answer = replica.post({"Name": "rose"}, headers={parameter["name"]: "my-own"})
    assert answer.headers[parameter["name"]] == "my-own"
