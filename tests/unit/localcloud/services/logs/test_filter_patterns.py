"""Filter patterns of CloudWatch Logs: the examples of its guide, and what is refused."""

from __future__ import annotations

import json

import pytest
from moto.logs.exceptions import InvalidParameterException

from cortex_cdk.localcloud.services.logs.filter_patterns import EventFilter

RECORD = json.dumps(
    {
        "level": "ERROR",
        "took": 12.5,
        "user": {"name": "ann [x]", "roles": ["admin", "guest"]},
        "cold": True,
        "batch": None,
        "message": "weary after five",
    }
)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "ERROR",
        "ERROR weary",
        '"weary after five"',
        '"weary after" -INFO',
        "?INFO ?ERROR",
        '{ $.level = "ERROR" }',
        "{ $.level = ERROR }",
        '{ $.level = "ERR*" }',
        '{ $.level != "INFO" }',
        "{ $.took > 12 }",
        "{$.took>=12.5 && $.took < 13}",
        '{ $.user.name = "ann [x]" }',
        '{ $.user.roles[0] = "admin" }',
        '{ $["level"] = "ERROR" }',
        "{ $.cold IS TRUE }",
        "{ $.batch IS NULL }",
        "{ $.other NOT EXISTS }",
        '{ ($.level = "INFO") || ($.took = 12.5) }',
        '{ ($.level = "INFO" || $.level = "ERROR") && $.cold IS TRUE }',
    ],
)
def test_what_a_pattern_finds(pattern: str) -> None:
    assert EventFilter(pattern).matches(RECORD)


@pytest.mark.parametrize(
    "pattern",
    [
        "INFO",
        "ERROR INFO",
        '"five weary"',
        '"weary after" -ERROR',
        "?INFO ?WARN",
        '{ $.level = "INFO" }',
        '{ $.level = "error" }',
        '{ $.other != "INFO" }',
        "{ $.took > 12.5 }",
        "{ $.level > 1 }",
        '{ $.user.roles[2] = "admin" }',
        "{ $.took IS TRUE }",
        "{ $.other IS NULL }",
        "{ $.level NOT EXISTS }",
        '{ $.level = "INFO" || $.took = 12.5 && $.cold IS FALSE }',
    ],
)
def test_what_a_pattern_does_not_find(pattern: str) -> None:
    assert not EventFilter(pattern).matches(RECORD)


def test_conditions_find_no_lines_that_are_not_json() -> None:
    assert not EventFilter("{ $.level NOT EXISTS }").matches("level=ERROR")
    assert not EventFilter('{ $.level = "ERROR" }').matches('["ERROR"]')


@pytest.mark.parametrize(
    "pattern",
    [
        "{ $.level }",
        "{ level = 1 }",
        "{ $.took > many }",
        "{ ($.a = 1 }",
        "{ $.a = 1 ) }",
        "{ $.a ?? 1 }",
        "[ip, user]",
    ],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidParameterException):
        EventFilter(pattern)
