"""A replica whose start takes long says what it is doing, and one that takes longer than it may ends and says why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Replica, task, write_project

SLEEPING = """
import time

class PythonPredictor:
    def __init__(self, config):
        print("connecting")
        self.connect()

    def connect(self):
        while not open("go").read():
            time.sleep(0.05)

    def predict(self, payload):
        return payload
"""
HOLDING = """
import ctypes

print("importing")
ctypes.PyDLL(None).sleep(1000)  # unlike CDLL, it keeps Python's lock
"""
WARMING = """
import time

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        time.sleep(1000)
"""


@contextmanager
def impatient(project: Path) -> Iterator[Replica]:
    """A replica that reports sooner than after 15 seconds."""
    code = (
        "from cortex_serving.replica import start_watch; start_watch.FIRST_REPORT = 4.0; import sys; "
        "from cortex_serving.cli import main; sys.exit(main([]))"
    )
    environ = {"PATH": "/usr/bin:/bin", **task(project, stop_timeout=10)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield Replica(process)
        finally:
            process.kill()


def test_the_line_and_the_last_output_are_told_until_the_replica_is_ready(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", SLEEPING)
    go = project / "go"
    go.write_text("")
    with impatient(project) as replica:
        said = replica.wait_for("still_loading")["message"]
        assert said.startswith("still loading after 4 s: predictor.py:")
        assert " in connect: " in said
        assert said.endswith(" (last output: connecting)")
        go.write_text("now")
        replica.wait_for("ready")
        assert replica.stop() == 0


@pytest.mark.parametrize(
    ("code", "doing"),
    [
        (HOLDING, "C code that holds Python's lock (an import, or a call of a library) (last output: importing)"),
        (WARMING, "predictor.py:9 in predict: time.sleep(1000)"),
    ],
    ids=["c", "warm-up"],
)
def test_a_replica_that_takes_longer_than_it_may_ends(tmp_path: Path, code: str, doing: str) -> None:
    project = write_project(tmp_path / "project", code, startup_timeout="8s")
    (project / "sample.json").write_text("1")
    with impatient(project) as replica:
        reason = replica.wait_for("fatal")["message"]
        assert reason.startswith("the replica has not become ready within 8 s (predictor.startup_timeout): ")
        assert doing in reason
        assert replica.process.wait(PATIENCE) == 1
        if code is WARMING:
            assert replica.messages(event="still_loading")[0].startswith("still warming up after 4 s: ")
