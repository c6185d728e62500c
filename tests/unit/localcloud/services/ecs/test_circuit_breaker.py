"""What failures of tasks do to a deployment."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.localcloud.services.ecs.circuit_breaker import failure_threshold, pause_before_start


@pytest.mark.parametrize(
    ("configuration", "thresholds"),
    [
        ({}, [3, 3, 4, 13, 200]),
        ({"type": "BOUNDED_PERCENT", "value": 20}, [3, 3, 3, 5, 200]),
        ({"type": "UNBOUNDED_PERCENT", "value": 50}, [1, 3, 4, 13, 500]),
        ({"type": "COUNT", "value": 2}, [2, 2, 2, 2, 2]),
    ],
)
def test_failures_that_trip_the_circuit_breaker(configuration: dict[str, Any], thresholds: list[int]) -> None:
    assert [failure_threshold(configuration, desired) for desired in (1, 6, 7, 25, 1000)] == thresholds


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause_before_start(failures) for failures in range(20)]

    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (0, 0, 15)


@pytest.mark.parametrize("failures", [1026, 10**6])
def test_a_crash_loop_may_go_on_for_ever(failures: int) -> None:
    """A float has no power of two beyond 2 ** 1023: failure 1026, after some four hours."""
    assert pause_before_start(failures) == 15
