"""The screen of ``cortex dev`` in terminals of several sizes."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cortex_cli.dev_screen import DevScreen
from rich.console import Console

from cortex_cdk.dev.happenings import Answered, Deploying, Failed, Live, Logged, Moved, Step
from cortex_cdk.errors import DeployError, PredictionError
from cortex_cdk.logs import LogRecord
from cortex_cdk.replicas.revisions import RevisionReplicas, Rollout
from tests.golden_file import compare

GOLDEN = Path(__file__).parent / "golden" / "dev_screen"
HEIGHT = 24
REVISION, BROKEN = "9f1c2ab34d56", "000000000bad"
ENDPOINT = "http://127.0.0.1:8888/iris"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def logged(
    text: str, number: int = 0, level: str = "INFO", traceback: tuple[str, ...] = (), revision: str = REVISION
) -> Logged:
    moment = datetime(2026, 11, 30, 12, tzinfo=timezone.utc) + timedelta(seconds=number)
    return Logged("iris", LogRecord(moment, "task", revision, level, text, traceback, {}))


def drawn(screen: DevScreen, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, height=HEIGHT, color_system=None)
    lines = console.render_lines(screen, console.options.update(width=width, height=HEIGHT))
    assert len(lines) <= HEIGHT
    return "".join(f"{''.join(segment.text for segment in line).rstrip()}\n" for line in lines).rstrip("\n") + "\n"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen shows local times."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def live() -> DevScreen:
    screen = DevScreen("iris  (environment local)")
    screen(Deploying(()))
    screen(Step("iris", "creating"))
    screen(Live("iris", ENDPOINT, REVISION, 1.44))
    screen(Answered("iris", '{\n  "species": "setosa"\n}'))
    for number in range(40):
        screen(logged(f"200 POST /iris {number} ms", number))
    return screen


@pytest.mark.parametrize("width", [60, 80, 160])
def test_live(width: int) -> None:
    compare(drawn(live(), width), GOLDEN / f"live-{width}.txt")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_save_that_fails(width: int) -> None:
    screen = live()
    frames = tuple(f'  File "/project/part_{number}.py", line 1, in load' for number in range(20))
    screen(Deploying(("predictor.py",)))
    screen(logged("ValueError: \x1b[2J", 60, "CRITICAL", ("Traceback:", *frames), BROKEN))
    message = (
        "iris: the replica failed: ValueError: \x1b[2J the model has 模型 classes, and the labels have two or more"
    )
    hint = "the revision before keeps serving; correct the cause and save"
    screen(Failed(DeployError(message, hint=hint, details=(*frames, "ValueError: \x1b[2J")), {"iris": REVISION}))
    compare(drawn(screen, width), GOLDEN / f"failed-{width}.txt")


def test_while_a_deployment_runs() -> None:
    clock = Clock()
    screen = DevScreen("iris  (environment local)", clock)
    screen(Live("iris", ENDPOINT, REVISION, None))
    screen(Deploying(("predictor.py", "parts/load.py")))
    for text in ("updating", "changed file: predictor.py", "changed file: parts/load.py", "a new revision replaces"):
        screen(Step("iris", text))
    new = RevisionReplicas("000000000002", "starting", desired=1, running=1)
    screen(Moved("iris", Rollout(new, RevisionReplicas(REVISION, "serving", running=1, healthy=1))))
    clock.now = 1.6
    compare(drawn(screen, 80), GOLDEN / "deploying.txt")
    screen(Live("iris", ENDPOINT, "000000000002", 1.61))
    assert "deploying" not in drawn(screen, 80)


def test_an_api_that_refuses_the_sample() -> None:
    screen = live()
    screen(Answered("iris", "", PredictionError("iris answered 500 Internal Server Error", details=["KeyError: 'a'"])))
    assert "error: iris answered 500 Internal Server Error\n  KeyError: 'a'\n" in drawn(screen, 80)


def test_an_answer_that_is_long_leaves_room() -> None:
    screen = live()
    screen(Answered("iris", "\n".join(map(str, range(100)))))
    text = drawn(screen, 80)
    assert "  ... 92 more lines\n" in text
    assert text.endswith("200 POST /iris 39 ms\n")


def test_what_an_earlier_save_logged_goes_with_the_next() -> None:
    screen = live()
    screen(Deploying(("predictor.py",)))
    screen(logged("ValueError: told", 60, "CRITICAL", revision=BROKEN))
    screen(Failed(DeployError("iris: the replica failed: ValueError: told"), {"iris": REVISION}))
    assert "CRITICAL ValueError: told" in drawn(screen, 80)
    screen(Deploying(("predictor.py",)))
    assert "told" not in drawn(screen, 80)
    screen(Live("iris", ENDPOINT, "000000000003", 1.5))
    # CloudWatch shows records a little late.
    screen(logged("ValueError: late", 61, "CRITICAL", revision=BROKEN))
    screen(logged("listening", 62, revision="000000000003"))
    assert "late" not in drawn(screen, 80)
    assert drawn(screen, 80).endswith("INFO listening\n")
