"""Values of JSON secrets, as the ECS agent writes them into an environment."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.localcloud.services.ecs.container_secrets import _as_go_writes

# What Go prints of each value by fmt.Sprintf("%v"), every number being a float64.
WRITTEN: tuple[tuple[Any, str], ...] = (
    ("text", "text"),
    (True, "true"),
    (None, "<nil>"),
    (0, "0"),
    (5432, "5432"),
    (-10, "-10"),
    (100000, "100000"),
    (999999, "999999"),
    (1000000, "1e+06"),
    (123456789, "1.23456789e+08"),
    (0.5, "0.5"),
    (0.0001, "0.0001"),
    (0.00001, "1e-05"),
    (-2.5e300, "-2.5e+300"),
)


@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_values_that_are_no_text(value: Any, text: str) -> None:
    assert _as_go_writes(value) == text
