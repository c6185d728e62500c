"""Filter patterns of CloudWatch Logs: words and phrases, and what is refused."""

from __future__ import annotations

import pytest
from moto.logs.exceptions import InvalidParameterException

from cortex_cdk.localcloud.services.logs.backend import EventFilter

RECORD = '{"level":"ERROR","message":"weary after five"}'


@pytest.mark.parametrize("pattern", [None, "", "ERROR", "ERROR weary", '"weary after five"', "?INFO ?ERROR"])
def test_what_a_pattern_finds(pattern: str | None) -> None:
    assert EventFilter(pattern).matches(RECORD)


@pytest.mark.parametrize("pattern", ["INFO", "ERROR INFO", '"five weary"', "?INFO ?DEBUG"])
def test_what_a_pattern_does_not_find(pattern: str) -> None:
    assert not EventFilter(pattern).matches(RECORD)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.level = "ERROR" }',
        "[ip, user]",
        "%five%",
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
