"""The documented shapes of ``-o json``: one for each command that has the option, complete, and true."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from cortex_cdk.errors import ClusterError, CortexError, Finding, PreflightError
from cortex_cdk.status.causes import Cause
from cortex_cdk.status.metrics import Predictions, Traffic
from cortex_cdk.status.report import Member, Report
from tests.json_output import require_shape, schema, shapes
from tests.unit.cli import test_get_report as known
from tests.unit.cli.command_tree import commands

WITH_OUTPUT = {
    path.removeprefix("cortex ").replace(" ", "-")
    for path, command in commands().items()
    if any(parameter.name == "output" for parameter in command.params)
}

REPORTS = {
    "new": Report(known.api("new")),
    "everything": Report(
        known.BROKEN,
        known.TRAFFIC,
        counted_until=known.NOW,
        counted=known.counted(Predictions({"setosa": 812}), known.BATCHING),
        usage=(known.IDLE, known.ON_GPU),
        replicas=known.REPLICAS,
        activities=known.ACTIVITIES,
        stopped=known.STOPPED,
        alarms=known.ALARMS,
        causes=(Cause("latency", "one answer takes a second"),),
        configuration={"name": "sick"},
    ),
    "numbers": Report(
        known.api(), Traffic(), counted=known.counted(Predictions({}, minimum=-1.5, maximum=2, average=0.5))
    ),
    "splitter": Report(known.splitter(iris=90, sick=10), members=known.MEMBERS),
    "splitter-in-list": Report(known.splitter(iris=100), members=(Member("iris", 100, None, None, (), None),)),
}


def test_every_command_that_prints_json_has_a_shape_and_every_shape_is_of_a_command_or_part_of_one() -> None:
    assert WITH_OUTPUT - shapes() == set(), "see docs/output/README.md"
    parts = {reference.partition(".schema.json")[0] for shape in shapes() for reference in _references(schema(shape))}
    assert shapes() - WITH_OUTPUT - parts == {"error"} - parts


@pytest.mark.parametrize("shape", sorted(shapes()))
def test_a_shape_says_what_each_field_means_and_leaves_none_out(shape: str) -> None:
    document = schema(shape)
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["title"]
    for part in _parts(document):
        if part.get("type") == "object" and "properties" in part:
            silent = [name for name, field in part["properties"].items() if not field.get("description")]
            assert silent == []
            assert "additionalProperties" in part, f"{sorted(part['properties'])} may have any others"
            assert set(part.get("required", ())) <= set(part["properties"])


@pytest.mark.parametrize("name", REPORTS)
def test_reports_have_the_shape_of_get(name: str) -> None:
    document = REPORTS[name].as_json()
    require_shape("get", document)
    require_shape("get", [{"env": "prod", **document}])


@pytest.mark.parametrize(
    "error",
    [
        CortexError("it failed", hint="do better", details=["first", "second"]),
        ClusterError("there is none"),
        PreflightError("not done", [Finding("iris", "too large", "take less"), Finding("rose", "too small")]),
    ],
)
def test_errors_have_their_shape(error: CortexError) -> None:
    require_shape("error", {"error": error.as_json()})


def test_a_field_that_is_not_documented_is_noticed() -> None:
    document = {**next(iter(REPORTS.values())).as_json(), "invented": 1}
    with pytest.raises(jsonschema.ValidationError):
        require_shape("get", document)


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document, at any depth."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _parts(inner)


def _references(document: Any) -> Iterator[str]:
    """The files that a schema refers to."""
    for part in _parts(document):
        reference = part.get("$ref", "")
        if isinstance(reference, str) and not reference.startswith("#"):
            yield reference
