"""What ``cortex history`` and ``cortex diff`` print, as golden files."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from cortex_cli.history_report import comparison, timeline

from cortex_cdk import names
from cortex_cdk.history.compare import Comparison, Content, FileChange
from cortex_cdk.history.record import DEPLOYED, FAILED, ROLL_BACK, Commit, Record, Release
from cortex_cdk.history.releases import History
from cortex_cdk.stack_operations.stack import StackState
from tests.golden_file import compare
from tests.json_output import require_shape

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
ROLE = "arn:aws:sts::123456789012:assumed-role/vision-deployers/jane.doe@example.com"
PIPELINE = "arn:aws:sts::123456789012:assumed-role/pipeline/GitHubActions"


def release(content: str) -> Release:
    return Release(content * 12, "archive", f"configuration-{content}", f"digest-{content}", f"image@sha256:{content}")


FIRST = Record(
    api="iris",
    number=1,
    release=release("a"),
    started=NOW - timedelta(days=3),
    ended=NOW - timedelta(days=3),
    who="arn:aws:iam::123456789012:user/jane",
    outcome=DEPLOYED,
)
SECOND = replace(
    FIRST,
    number=2,
    release=release("b"),
    started=NOW - timedelta(hours=5),
    who=PIPELINE,
    message="Larger model, which was trained on the data of October and of November",
    commit=Commit("3b1f2c9a01de" + 28 * "0", dirty=False),
    changes=("changed files: model.onnx, predictor.py", "autoscaling.max_replicas: 10 -> 20"),
)
THIRD = replace(
    SECOND,
    number=3,
    release=release("c"),
    started=NOW - timedelta(minutes=50),
    who=ROLE,
    message=None,
    commit=Commit("77ebe8f7dc0c" + 28 * "0", dirty=True),
    changes=("changed file: predictor.py",),
    outcome=FAILED,
    reason="the replica failed: FileNotFoundError: weights.bin",
)
FOURTH = replace(
    FIRST,
    number=4,
    started=NOW - timedelta(seconds=30),
    who=ROLE,
    action=ROLL_BACK,
    restores=1,
    message="v2 answers too slowly",
    changes=("changed files: model.onnx, predictor.py", "autoscaling.max_replicas: 20 -> 10"),
)
PARAMETERS, OUTPUTS = {names.Parameter.REVISION: "a" * 12}, {names.Output.SPEC_DIGEST: "digest-a"}
STACK = StackState("s", "id", "UPDATE_COMPLETE", "", PARAMETERS, OUTPUTS, {}, NOW, NOW)
HISTORY = History.of("iris", [FOURTH, THIRD, SECOND, FIRST], STACK)
DIFFERENCES = Comparison(
    before=FIRST,
    after=SECOND,
    configuration="--- configuration (v1)\n+++ configuration (v2)\n@@ -9 +9 @@\n-  mem: 512Mi\n+  mem: 1Gi\n",
    files=(
        FileChange(".env", "changed", Content(10, "a" * 64), Content(11, "b" * 64), None, "looks like a secret"),
        FileChange("empty.py", "added", None, Content(0, "c" * 64), ""),
        FileChange("model.onnx", "removed", Content(10, "a" * 64), None, None, "not text"),
        FileChange("predictor.py", "changed", Content(1, "a"), Content(1, "b"), "--- a\n+++ b\n@@ -1 +1 @@\n-1\n+2\n"),
    ),
)


@pytest.mark.parametrize(("width", "golden"), [(None, "wide"), (160, "160"), (80, "80"), (60, "60")])
def test_history_looks_the_same_as_ever(width: int | None, golden: str) -> None:
    text = click.unstyle(timeline(HISTORY, NOW, width))
    assert width is None or max(map(len, text.splitlines())) <= width
    compare(f"{text}\n", GOLDEN / f"history-{golden}.txt")


def test_an_api_of_an_older_version_has_no_history() -> None:
    assert "has no history" in timeline(History.of("iris", [], STACK), NOW)


def test_differences_look_the_same_as_ever() -> None:
    compare(f"{click.unstyle(comparison(DIFFERENCES))}\n", GOLDEN / "diff.txt")
    assert comparison(Comparison(FIRST, FIRST, "", ())) == "v1 and v1 of iris do not differ"


def test_both_have_their_documented_shape() -> None:
    require_shape("history", HISTORY.as_json())
    require_shape("diff", DIFFERENCES.as_json())
