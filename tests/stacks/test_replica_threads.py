"""How many threads numerical libraries start in a replica: as many as its share of CPUs, not as the instance has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stacks.matrix import PREDICTOR, api_spec
from tests.stacks.synthesized import template_of

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@pytest.mark.parametrize(
    ("cpu", "processes", "own", "threads"),
    [
        ("200m", 1, {}, "1"),
        ("1500m", 1, {}, "2"),
        (4, 1, {}, "4"),
        (4, 2, {}, "2"),
        (1, 4, {}, "1"),
        (4, 1, {"OMP_NUM_THREADS": "8"}, "8"),
    ],
)
def test_as_many_as_the_share_unless_the_user_says_otherwise(
    cpu: Any, processes: int, own: dict[str, str], threads: str, tmp_path: Path
) -> None:
    predictor = {**PREDICTOR, "processes_per_replica": processes, "env": own}
    spec = api_spec("plain", compute={"cpu": cpu}, predictor=predictor)
    template = template_of(spec, tmp_path)
    [definition] = template.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = definition["Properties"]["ContainerDefinitions"]
    found = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    assert found["OMP_NUM_THREADS"] == threads
    assert set(THREADS) <= set(found)
