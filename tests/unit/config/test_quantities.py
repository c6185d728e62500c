"""Quantities and the percentages of a rolling update, against slow and obvious computations."""

# ruff: noqa: E501 - tables of messages and values

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.config import UpdateStrategy
from cortex_cdk.config.quantities import parse_cpu, parse_duration, parse_share, parse_size
from cortex_cdk.config.sections.networking import LONGEST_ENDPOINT, parse_endpoint

UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
}
UNITS["h"] = Fraction(3600)


@given(st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_durations_are_sums_of_their_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == float(sum(number * UNITS[unit] for number, unit in parts))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5h", 5400), ("1h15m30.918s", 4530.918), ("4.s", 4), (".5m", 30), ("1µs", 1e-6), ("1μs", 1e-6), ("0", 0), (7, 7), (0.5, 0.5)],
)  # fmt: skip
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-15)


@given(st.text(alphabet="0123456789.hmsun+- ", max_size=12))
def test_durations_are_exact_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
    assert text == "0" or text[-1] in "hms"


@pytest.mark.parametrize(
    "text", ["", " 1s", "1s ", "1", "1S", "-1s", "+1s", "1 s", "1e3s", ".s", "s", "٣s", "1s" * 40, None, True]
)
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.integers(20, 10**6))
def test_cpu_in_thousandths(milli: int) -> None:
    assert parse_cpu(f"{milli}m") == milli / 1000
    assert parse_cpu(milli / 1000) == milli / 1000
    assert parse_cpu(str(milli / 1000)) == milli / 1000


@given(
    st.decimals(min_value=1, max_value=10**4, places=3),
    st.sampled_from(["", "K", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]),
)
def test_sizes_round_up(number: object, unit: str) -> None:
    factors = {
        "": 1,
        "K": 10**3,
        "M": 10**6,
        "G": 10**9,
        "T": 10**12,
        "Ki": 2**10,
        "Mi": 2**20,
        "Gi": 2**30,
        "Ti": 2**40,
    }
    assert parse_size(f"{number}{unit}") == math.ceil(Fraction(str(number)) * factors[unit])


@given(st.text(max_size=10) | st.integers() | st.floats() | st.booleans() | st.none())
def test_shares_are_counts_or_percentages(value: object) -> None:
    try:
        share = parse_share(value)
    except ValueError:
        return
    assert (isinstance(share, int) and share >= 0) or (isinstance(share, str) and 0 <= int(share[:-1]) <= 100)
    assert parse_share(share) == share


@given(st.text(alphabet="ab/.-_", max_size=140))
def test_endpoints_are_normal_or_refused(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except ValueError:
        return
    assert endpoint.startswith("/")
    assert not endpoint.endswith("/")
    assert len(f"{endpoint}/*") <= 128
    assert endpoint.strip("/") == text.strip("/")
    assert parse_endpoint(endpoint) == endpoint


def test_longest_endpoint() -> None:
    assert parse_endpoint("a" * (LONGEST_ENDPOINT - 1))
    with pytest.raises(ValueError, match="not an endpoint"):
        parse_endpoint("a" * LONGEST_ENDPOINT)


SHARES: list[int | str] = [0, 1, 2, 3, 7, 10, 50, 100, 150, *(f"{percent}%" for percent in range(0, 101))]
FEW: list[int | str] = [0, 2, "0%", "3%", "25%", "100%"]


def bounds(surge: int | str, unavailable: int | str, count: int) -> tuple[int, int]:
    """Most and fewest replicas as Kubernetes has them: surge rounded up, unavailable down, never both nothing."""
    more = surge if isinstance(surge, int) else math.ceil(Fraction(count * int(surge[:-1]), 100))
    fewer = unavailable if isinstance(unavailable, int) else math.floor(Fraction(count * int(unavailable[:-1]), 100))
    if more == 0 and fewer == 0:
        fewer = 1
    return count + more, max(0, count - fewer)


@pytest.mark.parametrize("few", FEW)
def test_bounds_survive_the_rounding_of_ecs(few: int | str) -> None:
    for surge, unavailable in [*product([few], SHARES), *product(SHARES, [few])]:
        if {str(surge), str(unavailable)} <= {"0", "0%"}:
            continue  # Refused together.
        strategy = UpdateStrategy(max_surge=surge, max_unavailable=unavailable)
        for count in range(1, 101):
            percentages = strategy.percentages(count)
            # ECS rounds the maximum down and the minimum up.
            most = count * percentages.maximum // 100
            fewest = -(-count * percentages.minimum_healthy // 100)
            assert (most, fewest) == bounds(surge, unavailable, count), (surge, unavailable, count)
            assert percentages.maximum >= 100
            assert 0 <= percentages.minimum_healthy <= 100
            assert most > fewest, "ECS could not replace anything"


@pytest.mark.parametrize(
    ("surge", "unavailable", "count", "expected"),
    [("25%", "25%", 1, (100, 200)), ("25%", "25%", 2, (100, 150)), ("25%", "25%", 4, (75, 125)), ("25%", "25%", 5, (80, 140)),
     (0, "25%", 1, (0, 100)), (0, 1, 2, (50, 100)), (1, 0, 0, (100, 200))],
)  # fmt: skip
def test_percentages(surge: int | str, unavailable: int | str, count: int, expected: tuple[int, int]) -> None:
    found = UpdateStrategy(max_surge=surge, max_unavailable=unavailable).percentages(count)
    assert (found.minimum_healthy, found.maximum) == expected
