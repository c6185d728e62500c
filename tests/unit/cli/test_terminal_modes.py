"""What is written for each kind of terminal: no codes where none are wanted, and no line wider than is asked for."""

from __future__ import annotations

import os
import pty
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cortex_cli.commands.logs import as_text

from cortex_cdk.logs import LogRecord
from tests.conftest import CORTEX, Cortex

COMMANDS = [
    ["env", "list"],
    ["--help"],
    ["nonsense"],
    ["get", "--env", "nowhere"],
    ["get", "--watch", "--env", "nowhere"],
]


@pytest.fixture
def cortex(tmp_path: Path) -> Cortex:
    return Cortex(tmp_path / "home")


def on_terminal(cortex: Cortex, arguments: list[str], **environ: str) -> str:
    """What a terminal gets."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [CORTEX, *arguments], env={**cortex.environ, **environ}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    got = bytearray()
    try:
        while chunk := os.read(ours, 65536):
            got += chunk
    except OSError:  # the other side is closed
        pass
    done.wait()
    os.close(ours)
    return got.decode()


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}], ids=lambda one: one["TERM"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_codes_where_none_are_wanted(cortex: Cortex, arguments: list[str], environ: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal(cortex, arguments, **environ)


def test_colours_elsewhere(cortex: Cortex) -> None:
    assert "\x1b[1m" in on_terminal(cortex, ["env", "list"], TERM="xterm", NO_COLOR="")
    assert "\x1b[31m" in on_terminal(cortex, ["nonsense"], TERM="xterm")


def test_a_pipe_has_lines_of_any_length_unless_columns_are_named(cortex: Cortex) -> None:
    cortex.ok(
        "env", "configure", "production", "--profile", "a-profile-with-a-long-name", "--cluster", "the-main-cluster"
    )
    assert max(map(len, cortex.ok("env", "list").splitlines())) > 60
    for width in (40, 60):
        lines = cortex.run("env", "list", environ={"COLUMNS": str(width)}).stdout.splitlines()
        assert max(map(len, lines)) <= width
    for nothing in ("0", "wide"):
        assert cortex.run("env", "list", environ={"COLUMNS": nothing}).stdout == cortex.ok("env", "list")


def test_a_mistake_is_told_as_every_error_is(cortex: Cortex) -> None:
    done = cortex.run("logs", "iris", "--levl", "error")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no such option '--levl'\nhint: did you mean --level?\n"
    assert cortex.run("cluster").stderr.startswith("Usage: cortex cluster"), "a group alone shows its help"


@pytest.mark.parametrize(("level", "codes"), [("INFO", 0), ("ERROR", 2)])
def test_a_level_without_a_colour_has_no_codes(level: str, codes: int) -> None:
    record = LogRecord(datetime.now(timezone.utc), "0f3a5c1e", "3185d7c4", level, "ready", (), {})
    assert as_text(record).count("\x1b") == codes
