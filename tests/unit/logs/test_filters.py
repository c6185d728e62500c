"""Which records are wanted: what CloudWatch leaves out is never wanted, whatever is asked for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.logs.filter_patterns import EventFilter
from cortex_cdk.logs.filters import LEVELS, LogFilter
from cortex_cdk.logs.records import LogRecord, parse

REQUEST = "Root=1-6b0646da-878f95afe2df241cfaaba8dc"


def line(**fields: Any) -> str:
    return json.dumps({"time": "2026-11-30T12:00:00.000Z", "level": "INFO", "message": "ready", **fields})


def record(text: str, stream: str = "3185d7c42311/0f3a5c1e9b7d") -> LogRecord:
    return parse({"logStreamName": stream, "timestamp": 1_700_000_000_000, "message": text, "eventId": "1"})


IDS = st.sampled_from([REQUEST, "a-1", "a-12", "a", 'odd"id', "ü"])
TEXTS = st.sampled_from(["a batch of 2 failed (requests", ")", "x\ny"])
WORDS = st.lists(st.one_of(IDS, TEXTS), max_size=4).map(" ".join)
LINES = st.one_of(
    st.fixed_dictionaries(
        {"level": st.sampled_from(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL", "NOTICE", "Level 35"])},
        optional={"message": WORDS, "request_id": IDS, "traceback": WORDS},
    ).map(lambda fields: line(**fields)),
    WORDS,
)
FILTERS = st.builds(
    LogFilter,
    level=st.one_of(st.none(), st.sampled_from(LEVELS)),
    request_id=st.one_of(st.none(), IDS),
    text=st.one_of(st.none(), st.sampled_from([re.compile("ready"), re.compile("^y", re.MULTILINE)])),
)


@given(FILTERS, LINES)
def test_what_is_wanted_passes_the_pattern(wanted: LogFilter, text: str) -> None:
    if wanted.admits(record(text)):
        assert EventFilter(wanted.pattern).matches(text)


@given(FILTERS, LINES)
def test_a_record_fits_a_filter_if_it_fits_each_part(wanted: LogFilter, text: str) -> None:
    parts = [LogFilter(level=wanted.level), LogFilter(request_id=wanted.request_id), LogFilter(text=wanted.text)]
    assert wanted.admits(record(text)) == all(part.admits(record(text)) for part in parts)


@pytest.mark.parametrize(
    ("least", "admitted"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NOTICE", "Level 25", "FATAL"]),
        ("info", ["INFO", "WARNING", "ERROR", "CRITICAL", "NOTICE", "Level 25", "FATAL"]),
        ("warning", ["WARNING", "ERROR", "CRITICAL", "NOTICE", "FATAL"]),
        ("error", ["ERROR", "CRITICAL", "NOTICE", "FATAL"]),
        ("critical", ["CRITICAL", "NOTICE", "FATAL"]),
    ],
)
def test_a_level_is_the_least_severe_and_unknown_ones_are_not_hidden(least: str, admitted: list[str]) -> None:
    levels = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NOTICE", "Level 25", "FATAL"]
    assert [level for level in levels if LogFilter(level=least).admits(record(line(level=level)))] == admitted


def test_cloudwatch_leaves_out_what_is_less_severe() -> None:
    pattern = EventFilter(LogFilter(level="error").pattern)
    assert [level for level in ("DEBUG", "INFO", "WARNING", "ERROR") if pattern.matches(line(level=level))] == ["ERROR"]


@pytest.mark.parametrize(
    ("text", "belongs"),
    [
        (line(request_id="a-1"), True),
        (line(request_id="a-12"), False),
        (line(message="a batch of 2 failed (requests a-2, a-1)"), True),
        (line(message="a batch of 2 failed (requests a-2, a-12)"), False),
        (line(message="ready"), False),
    ],
)
def test_a_record_belongs_to_its_request_or_names_it(text: str, belongs: bool) -> None:
    assert LogFilter(request_id="a-1").admits(record(text)) is belongs


def test_the_beginning_of_an_id_is_enough_and_several_are_alternatives() -> None:
    ready = record(line())
    assert LogFilter(replicas=("0f3a",), revisions=("3185",)).admits(ready)
    assert LogFilter(replicas=("beef", "0f3a")).admits(ready)
    assert not LogFilter(replicas=("0f3a",), revisions=("4",)).admits(ready)


def test_a_text_is_looked_for_in_tracebacks_too() -> None:
    failed = record(line(traceback="Traceback:\n  File\nKeyError: 'x'"))
    assert LogFilter(text=re.compile("^KeyError", re.MULTILINE)).admits(failed)
    assert not LogFilter(text=re.compile("^File", re.MULTILINE)).admits(failed)
