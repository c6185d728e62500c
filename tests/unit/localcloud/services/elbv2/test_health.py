"""How often targets are checked."""

from __future__ import annotations

import pytest

from cortex_cdk.localcloud.services.elbv2.health import Check, usual_interval

CONFIGURED = 5.0


@pytest.mark.parametrize(
    ("speed", "targets", "interval"),
    [(1.0, 1, 5.0), (1.0, 1000, 5.0), (10.0, 1, 0.5), (10.0, 20, 0.5), (10.0, 100, 2.5), (10.0, 1000, 5.0)],
)
def test_a_fast_clock_checks_many_targets_less_often_but_never_less_than_configured(
    speed: float, targets: int, interval: float
) -> None:
    check = Check("/", frozenset({200}), 4.0, CONFIGURED / speed, 2, 2)
    assert usual_interval(check, speed, targets) == pytest.approx(interval)
