"""Log records, and how each is shown once although CloudWatch is asked for them again and again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.logs.reading import LATENESS_MS, NEAR_MS, SeenEvents
from cortex_cdk.logs.records import is_metrics, parse

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef


def event(message: str) -> FilteredLogEventTypeDef:
    return {"logStreamName": "abc123/0f1e", "timestamp": 1_700_000_000_000, "message": message, "eventId": "1"}


def test_a_record_of_the_serving_program() -> None:
    record = parse(event(json.dumps({"level": "ERROR", "message": "boom", "traceback": "a\nb\n", "event": "fatal"})))
    assert (record.revision, record.replica, record.level, record.message) == ("abc123", "0f1e", "ERROR", "boom")
    assert record.traceback == ("a", "b")
    assert record.fields["event"] == "fatal"


def test_any_other_line_is_shown_as_it_is() -> None:
    for line in ("plain text", "[1, 2]", '"quoted"', "{broken"):
        record = parse(event(line))
        assert (record.level, record.message, record.traceback) == ("INFO", line, ())


def test_metrics_are_told_apart_from_words() -> None:
    assert is_metrics(parse(event('{"_aws": {}, "InFlight": 0}')))
    assert not is_metrics(parse(event('{"message": "_aws"}')))


POLL_MS = 1000
# Moment of each event and by how much it comes late: mostly little, sometimes as late as is promised for.
HISTORY = st.lists(
    st.tuples(st.integers(0, 400_000), st.one_of(st.integers(0, 3000), st.integers(0, LATENESS_MS - 2 * POLL_MS))),
    max_size=60,
)


def follow(
    history: list[tuple[int, int]], *, capacity: int = 100_000, page: int = 3, far_every: int = 10
) -> tuple[list[int], int]:
    """What a follower passes on of a history of (moment, lateness), by the index of the event."""
    seen = SeenEvents(0, capacity)
    shown: list[int] = []
    last = max((moment + late for moment, late in history), default=0) + far_every * POLL_MS
    most = 0
    for number, now in enumerate(range(0, last + 2 * POLL_MS, POLL_MS)):
        start = seen.start(now, far=number % far_every == 0)
        there = sorted(
            (moment, str(index))
            for index, (moment, late) in enumerate(history)
            if moment >= start and moment + late <= now
        )
        events: list[FilteredLogEventTypeDef] = [{"timestamp": moment, "eventId": id_} for moment, id_ in there]
        for begin in range(0, len(events), page):
            shown += [int(found["eventId"]) for found in seen.fresh(events[begin : begin + page])]
            seen.forget(now)
            most = max(most, len(seen))
    return shown, most


@given(HISTORY)
def test_every_event_is_shown_once_however_late_it_comes(history: list[tuple[int, int]]) -> None:
    shown, _ = follow(history)
    assert sorted(shown) == list(range(len(history)))


@given(HISTORY, st.integers(1, 5))
def test_memory_is_bounded_and_nothing_is_shown_twice_then(history: list[tuple[int, int]], capacity: int) -> None:
    moments = [moment for moment, _ in history]
    shown, most = follow(history, capacity=capacity)
    assert len(shown) == len(set(shown))
    together = max((moments.count(moment) for moment in moments), default=0)
    assert most <= capacity + together + 3  # a page at most comes on top


def test_many_events_of_one_moment_are_told_apart_by_their_ids() -> None:
    shown, _ = follow([(5, 0)] * 20)
    assert sorted(shown) == list(range(20))


def test_a_replica_whose_clock_is_fast_hides_nothing() -> None:
    seen = SeenEvents(0)
    hour = 3_600_000
    assert seen.fresh([{"timestamp": hour + hour, "eventId": "fast"}])
    seen.forget(now=hour)
    assert seen.start(hour, far=False) == hour - NEAR_MS
    assert seen.fresh([{"timestamp": hour + 1, "eventId": "right"}])
