"""The table of a deployment in terminals of several widths."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cortex_cli.rollout_table import rollout_table
from rich.console import Console

from cortex_cdk.replicas.revisions import RevisionReplicas, Rollout
from tests.golden_file import compare

GOLDEN = Path(__file__).parent / "golden" / "rollout_table"
NO_ROOM = (
    "no container instance met all of its requirements: insufficient memory; instance group cpu has 2 instances, "
    "its maximum: raise max_instances (cortex cluster configure), or ask for less compute or fewer replicas"
)
ROLLOUTS = {
    "iris-classifier": Rollout(
        RevisionReplicas("9f1c2ab34d56", "taking over", desired=12, starting=3, running=7, healthy=5),
        RevisionReplicas("77aa00bb11cc", "draining", desired=5, running=7, healthy=5),
    ),
    "a-name-that-is-as-long-as-a-name-of-an-api-may-be": Rollout(
        RevisionReplicas("000000000001", "no capacity", desired=1, starting=1),
        RevisionReplicas("000000000002", "serving", desired=1, running=1, healthy=1),
        NO_ROOM,
    ),
    "broken": Rollout(
        RevisionReplicas("b0b0b0b0b0b0", "failing", desired=1, running=1, failed=2),
        None,
        "ValueError: \x1b]0;owned\x07\x1b[2J 模型文件不存在 [bold]not a style[/]\nsecond line",
    ),
    "done": Rollout(RevisionReplicas("d0d0d0d0d0d0", "live", desired=1, running=1, healthy=1)),
}


@pytest.mark.parametrize("width", [60, 80, 160])
def test_widths(width: int) -> None:
    output = io.StringIO()
    Console(file=output, width=width, color_system=None).print(rollout_table(ROLLOUTS, width))
    text = "".join(f"{line.rstrip()}\n" for line in output.getvalue().splitlines())
    compare(text, GOLDEN / f"{width}.txt")
