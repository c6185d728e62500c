"""What callers from Python hear of an operation."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from cortex_cdk.replicas.revisions import RevisionReplicas, Rollout
from cortex_cdk.stack_operations.change_set import Change
from cortex_cdk.stack_operations.events import StackEvent
from cortex_cdk.stack_operations.progress import Progress, Silent, on_stderr, progress_of

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def happens(progress: Progress) -> None:
    progress.step("iris", "creating")
    progress.log("image", "==> requirements.txt")
    progress.log("image", " + numpy==2.0")
    progress.changes("iris", tuple(Change("Add", each, "AWS::ECS::Service", replacement=False) for each in "ab"))
    progress.changes("iris", (Change("Modify", "a", "AWS::ECS::Service", replacement=False),))
    progress.changes("iris", ())
    for healthy in (0, 0, 1):
        progress.rollout("iris", Rollout(RevisionReplicas("r", "starting", desired=2, healthy=healthy), None))
    for status in ("CREATE_IN_PROGRESS", "CREATE_FAILED"):
        progress.event("iris", StackEvent("1", NOW, "Service", "AWS::ECS::Service", status, "no room"))
    assert progress.confirm("iris", "Go on?")


SAID = [
    "iris: creating",
    "image: ==> requirements.txt",
    "iris: 2 resources to create",
    "iris: 1 resource to change",
    "iris: 0 of 2 new replicas serve",
    "iris: 1 of 2 new replicas serve",
    "iris: failed: service: no room",
    "iris: Go on? yes",
]


def test_a_function_gets_lines() -> None:
    lines: list[str] = []
    happens(progress_of(lines.append))
    assert lines == SAID


def test_lines_go_to_stderr_where_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    happens(progress_of(on_stderr))
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in SAID))


def test_nobody_hears_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    happens(progress_of(None))
    assert capsys.readouterr() == ("", "")


def test_whoever_wants_more_is_a_progress() -> None:
    own = Silent()
    assert progress_of(own) is own
