"""``cortex dev``: each save is deployed, and one that does not work leaves the revision before it serving."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CORTEX, Cortex
from tests.json_output import read_json
from tests.local.cli.test_terminal import assert_harmless
from tests.local.waiting import until

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        print("built")

    def predict(self, payload):
        return {"code": 1, "got": payload["number"]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("project")
    (project / "cortex.yaml").write_text(
        "- {name: dev, kind: RealtimeAPI, predictor: {type: python, path: predictor.py}, compute: {mem: 200Mi}}\n"
    )
    (project / "predictor.py").write_text(PREDICTOR)
    (project / "sample.json").write_text('{"number": 7}')
    (project / ".cortexignore").write_text("*.log\n")
    return project


class Dev:
    """A ``cortex dev -o json`` that runs, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process = process
        self._said = said
        self._read = 0

    def events(self) -> list[dict[str, Any]]:
        """Everything that it has said, of whole lines."""
        lines = self._said.read_text().split("\n")[:-1]
        return [read_json("dev", line) for line in lines]

    def next(self, event: str, condition: Callable[[dict[str, Any]], bool] = lambda _event: True) -> dict[str, Any]:
        """Wait for an event after the one that was waited for before."""

        def found() -> dict[str, Any] | None:
            assert self.process.poll() is None, self._said.read_text()
            for number, one in enumerate(self.events()):
                if number >= self._read and one["event"] == event and condition(one):
                    self._read = number + 1
                    return one
            return None

        result: dict[str, Any] = until(found, pause=0.1)
        return result


@contextmanager
def dev(cortex: Cortex, project: Path, said: Path) -> Iterator[Dev]:
    with said.open("w") as sink:
        process = subprocess.Popen(
            [CORTEX, "dev", str(project), "-o", "json"], env=cortex.environ, stdout=sink, stderr=subprocess.PIPE
        )
    try:
        yield Dev(process, said)
    finally:
        process.kill()
        process.communicate()


def test_saves(cortex: Cortex, project: Path, tmp_path: Path) -> None:
    def save(old: str, new: str) -> None:
        text = (project / "predictor.py").read_text()
        assert old in text
        (project / "predictor.py").write_text(text.replace(old, new))

    def answer() -> Any:
        return json.loads(cortex.ok("predict", "dev", str(project / "sample.json")))

    with dev(cortex, project, tmp_path / "said") as session:
        first = session.next("live")
        assert first["endpoint"].endswith("/dev")
        assert json.loads(session.next("answer")["answer"]) == {"code": 1, "got": 7}

        (project / "debug.log").write_text("not deployed")
        save('"code": 1', '"code": 2')
        assert session.next("deploying")["files"] == ["predictor.py"]
        second = session.next("live")
        assert second["revision"] != first["revision"]
        assert second["seconds"] > 0
        assert json.loads(session.next("answer")["answer"])["code"] == 2
        session.next("log", lambda event: event["message"] == "built")

        save('print("built")', 'raise ValueError("no model")')
        failed = session.next("failed")
        assert failed["failure"]["message"] == "dev: the replica failed: ValueError: no model"
        assert 'raise ValueError("no model")' in "\n".join(failed["failure"]["details"])
        assert failed["failure"]["hint"] == "the revision before keeps serving; correct the cause and save"
        assert failed["serving"] == {"dev": second["revision"]}
        assert answer()["code"] == 2

        save("return", "retrun")
        assert "predictor.py:7:16: is not valid Python" in session.next("failed")["failure"]["message"]
        assert answer()["code"] == 2

        save("retrun", "return")
        (project / "predictor.py").write_text(PREDICTOR.replace('"code": 1', '"code": 3'))
        third = session.next("live", lambda event: event["revision"] not in (first["revision"], second["revision"]))
        assert json.loads(session.next("answer")["answer"])["code"] == 3
        assert third["seconds"] > 0

        (project / "requirements.txt").write_text("click==8.4.0\nclick==8.4.1\n")
        assert session.next("failed")["failure"]["hint"] == "correct requirements.txt and save again"
        (project / "requirements.txt").unlink()

        session.process.send_signal(signal.SIGINT)
        _, stderr = session.process.communicate(timeout=60)
    assert session.process.returncode == 130
    assert stderr.decode().endswith(f"dev stays deployed at {first['endpoint']}: remove it with cortex delete dev\n")
    assert answer()["code"] == 3
    recorded = cortex.json("history", "dev")["deployments"]
    assert [one["outcome"] for one in recorded] == ["deployed", "failed", "deployed", "deployed"]
    assert recorded[1]["reason"] == "the replica failed: ValueError: no model"


def test_on_a_terminal(cortex: Cortex, project: Path) -> None:
    """The screen is an alternate one, and is left as it was found."""
    ours, theirs = pty.openpty()
    environ = {**cortex.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen([CORTEX, "dev", str(project)], env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    got = ""
    try:
        while "answers the sample" not in got:
            got += os.read(ours, 65536).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        while True:
            got += os.read(ours, 65536).decode(errors="replace")
    except OSError:  # the other side is closed
        pass
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "\x1b[?1049h" in got
    after = got.rpartition("\x1b[?1049l")[2]
    assert got.rindex("\x1b[?25h") > got.rindex("\x1b[?25l"), "the cursor is hidden"
    assert "dev stays deployed at " in after
    assert_harmless(after)


def test_a_folder_without_a_configuration(cortex: Cortex, tmp_path: Path) -> None:
    refused = cortex.run("dev", str(tmp_path))
    assert refused.returncode == 1
    assert "error: " in refused.stderr
