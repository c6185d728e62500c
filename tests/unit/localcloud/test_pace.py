"""The pause between two rounds of a thread that nothing has woken."""

from __future__ import annotations

import time

import pytest

from cortex_cdk.localcloud.pace import LONGEST, SHARE, Pace

SHORTEST = 0.25


@pytest.mark.parametrize(
    ("computed", "pause"),
    [
        (0.0, SHORTEST),
        (SHORTEST * SHARE, SHORTEST),
        (2 * SHORTEST * SHARE, 2 * SHORTEST),
        (60.0, LONGEST * SHORTEST),
    ],
)
def test_rounds_take_a_hundredth_of_a_core_within_bounds(
    computed: float, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 100.0 + computed])
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    pace = Pace(SHORTEST)
    with pace.round():
        pass
    assert pace.pause == pytest.approx(pause)


def test_a_round_that_fails_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 3 * SHORTEST * SHARE])
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    pace = Pace(SHORTEST)
    with pytest.raises(ValueError, match="no"), pace.round():
        raise ValueError("no")
    assert pace.pause == pytest.approx(3 * SHORTEST)
