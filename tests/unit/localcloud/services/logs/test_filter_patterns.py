"""Filter patterns of CloudWatch Logs: words, phrases, conditions on JSON fields, and what is refused."""

from __future__ import annotations

import pytest
from moto.logs.exceptions import InvalidParameterException

from cortex_cdk.localcloud.services.logs.filter_patterns import EventFilter

RECORD = '{"level":"ERROR","message":"weary after five","ms":12.5,"user":{"ids":[7,"b"]},"none":null,"yes":true}'


@pytest.mark.parametrize(
    "pattern",
    [
        None,
        "",
        "ERROR",
        "ERROR weary",
        '"weary after five"',
        "?INFO ?ERROR",
        '{ $.level = "ERROR" }',
        "{$.level=ERROR}",
        '{ $.level = "ERR*" }',
        '{ $.level != "INFO" && $.level != "DEBUG" }',
        "{ $.ms > 12 && $.ms <= 12.5 }",
        "{ $.user.ids[0] = 7 }",
        '{ $.user.ids[1] = "b" }',
        "{ ($.level = INFO) || ($.ms >= 1) }",
        '{ $.level = "INFO" && $.ms = 1 || $.ms = 12.5 }',
        "{ $.none IS NULL }",
        "{ $.yes IS TRUE && $.level EXISTS && $.absent NOT EXISTS }",
    ],
)
def test_what_a_pattern_finds(pattern: str | None) -> None:
    assert EventFilter(pattern).matches(RECORD)


@pytest.mark.parametrize(
    "pattern",
    [
        "INFO",
        "ERROR INFO",
        "?INFO ?DEBUG",
        '"five weary"',
        '{ $.level = "ERR" }',
        '{ $.absent != "x" }',
        '{ $.level = "ERROR" && $.ms > 100 }',
        "{ $.user.ids[9] = 7 }",
        "{ $.level > 1 }",
        "{ $.absent IS NULL }",
        '{ $.user != "x" }',
    ],
)
def test_what_a_pattern_does_not_find(pattern: str) -> None:
    assert not EventFilter(pattern).matches(RECORD)


def test_a_condition_finds_nothing_in_words() -> None:
    for message in ("ERROR", '["ERROR"]', "{broken"):
        assert not EventFilter("{ $.level != INFO }").matches(message)


@pytest.mark.parametrize(
    "pattern",
    [
        "[ip, user]",
        "%five%",
        "{ $.message = %five% }",
        "{ $.level }",
        "{ $.level = }",
        "{ ($.level = a }",
        "{ $.level = a $.ms = 1 }",
        '{ $.ms > "a" }',
        "{ level = a }",
        "{}",
        '{ $.level = "a"',
        '"weary after" -INFO',
        "?INFO ERROR",
        "?",
        "ERROR -weary",
        '"',
        '"a',
    ],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidParameterException, match="does not know"):
        EventFilter(pattern)
