"""Moments as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.logs.moments import parse_moment

NOW = datetime(2026, 11, 30, 12, 30, 15, 500_000, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400), ("0s", 0)]
)
def test_a_duration_is_that_long_ago(text: str, seconds: int) -> None:
    assert parse_moment(text, NOW) == NOW - timedelta(seconds=seconds)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)), st.times())
def test_a_time_of_the_day_is_the_last_one(now: datetime, clock: datetime) -> None:
    here = now.astimezone()
    moment = parse_moment(f"{clock:%H:%M:%S}", here)
    assert moment <= here
    assert here - moment <= timedelta(days=1, hours=1), "an hour more where the clocks are set back"
    assert f"{moment.astimezone():%H:%M:%S}" == f"{clock:%H:%M:%S}" or here.utcoffset() != moment.utcoffset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30T12:00:00Z", datetime(2026, 11, 30, 12, tzinfo=timezone.utc)),
        ("2026-11-30T12:00:00.1Z", datetime(2026, 11, 30, 12, 0, 0, 100_000, tzinfo=timezone.utc)),
        ("2026-11-30T13:00+01:00", datetime(2026, 11, 30, 12, tzinfo=timezone.utc)),
        (" 2026-11-30 12:00:00 ", datetime(2026, 11, 30, 12).astimezone()),
        ("2026-11-30", datetime(2026, 11, 30).astimezone()),
        ("1969-01-01T00:00Z", datetime.fromtimestamp(0, timezone.utc)),
        ("40000d", datetime.fromtimestamp(0, timezone.utc)),
    ],
)
def test_a_date_is_in_the_zone_that_is_given_or_in_that_of_this_machine(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "1y", "m", "10", "-5m", "1.5h", "25:00", "12:60", "2026-13-01", "now", "٣s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_moment(text, NOW)


def test_what_is_longer_ago_than_there_were_days_is_refused() -> None:
    with pytest.raises(ValueError, match="too long ago"):
        parse_moment("99999999999d", NOW)
