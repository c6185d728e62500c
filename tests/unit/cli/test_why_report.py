"""What ``cortex why`` prints, at several widths, as golden files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from cortex_cli.why_report import report

from cortex_cdk.status.diagnosis import Diagnosis, diagnose, diagnose_splitter
from cortex_cdk.status.evidence import FailedDeployment, Signs
from cortex_cdk.status.metrics import Recent
from cortex_cdk.status.read_status import Variant
from tests.golden_file import compare
from tests.json_output import read_json
from tests.unit.status.evidence import NOW, ago, api, ended, failing, healthy, record

GOLDEN = Path(__file__).parent / "golden"
TRACEBACK = """\
Traceback (most recent call last):
  File "/tasks/1/project/predictor.py", line 3, in __init__
    open("weights.bin")
FileNotFoundError: [Errno 2] No such file or directory: 'weights.bin'"""
MISSING = "FileNotFoundError: [Errno 2] No such file or directory: 'weights.bin'"
SICK = diagnose(
    replace(
        failing("Essential container in task exited (exit code 1)"),
        records=(record(TRACEBACK, event="traceback"), record(MISSING, "CRITICAL", "fatal")),
        signs=Signs(logs_error="ServiceUnavailableException"),
        events=((ago(minutes=1), "(service iris) has stopped 1 running tasks: (target-group arn:aws:x:y/z)."),),
    )
)
UNDONE = diagnose(
    healthy(
        deployment=FailedDeployment(ago(minutes=2), MISSING, undone=True),
        stopped=(ended(f"{MISSING} (exit code 1)", days=1),),
        signs=Signs(recent=Recent(answered=120, server_errors=1)),
    )
)
SPLITTER = api("error", name="shared", kind="TrafficSplitter", reason="sick: error")
VIEWS: dict[str, Diagnosis] = {
    "healthy": diagnose(healthy(signs=Signs(recent=Recent(answered=120)))),
    "sick": SICK,
    "undone": UNDONE,
    "splitter": diagnose_splitter(
        SPLITTER, [(Variant("fine", 80), UNDONE), (Variant("sick", 10), SICK), (Variant("gone", 10), None)]
    ),
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("width", [None, 60, 80, 160])
@pytest.mark.parametrize("view", VIEWS)
def test_view(view: str, width: int | None) -> None:
    text = click.unstyle(report(VIEWS[view], NOW, width))
    compare(text + "\n", GOLDEN / f"why-{view}{f'-{width}' if width else ''}.txt")
    assert width is None or all(len(line) <= width for line in text.splitlines())


@pytest.mark.parametrize("view", VIEWS)
def test_the_json_has_its_documented_shape(view: str) -> None:
    read_json("why", json.dumps(VIEWS[view].as_json()))
