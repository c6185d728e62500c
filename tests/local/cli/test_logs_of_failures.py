"""``cortex logs`` of an API whose first deployment failed: the records stay, with the reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CORTEX, Cortex
from tests.json_output import read_json

PREDICTOR = """\
import os

class PythonPredictor:
    def __init__(self, config):
        print("here is", {name!r})
        print("smile \U0001f642")
        {start}

    def predict(self, payload):
        {answer}
        return payload
"""
FAILURES = {
    "raises": ('raise ValueError("no such model")', "pass", "the replica failed: ValueError: no such model"),
    "ends": ("os._exit(7)", "pass", "exited with code 7"),
    "answers": ("pass", 'raise KeyError("no such field")', "no such field"),
    "hangs": ("import time; time.sleep(1000)", "pass", "has not become ready within 10 s"),
    "hungry": ("self.weights = bytearray(2**30)", "pass", "OutOfMemory"),
}
"""By the API's name: what its predictor does at the start, and for each request, and how the reason reads."""


def write(folder: Path, names: tuple[str, ...], *, good: bool = False) -> None:
    apis = []
    for name in names:
        start, answer, _ = ("pass", "pass", "") if good else FAILURES[name]
        (folder / f"{name}.py").write_text(PREDICTOR.format(name=name, start=start, answer=answer))
        predictor = {"type": "python", "path": f"{name}.py", **({"startup_timeout": "10s"} if name == "hangs" else {})}
        apis.append({"name": name, "kind": "RealtimeAPI", "predictor": predictor, "compute": {"mem": "200Mi"}})
    (folder / "cortex.yaml").write_text(json.dumps(apis))
    (folder / "sample.json").write_text('{"number": 1}')


@pytest.fixture(scope="module")
def project(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose first deployment has failed, in several ways at once, while somebody followed one API's logs."""
    folder = tmp_path_factory.mktemp("project")
    write(folder, tuple(FAILURES))
    done = cortex.run("deploy", cwd=folder)
    assert done.returncode == 1, done.stderr
    yield folder
    cortex.ok("cluster", "down", "--yes")
    assert groups(cortex) == []


def groups(cortex: Cortex) -> list[str]:
    found = cortex.aws("logs").describe_log_groups(logGroupNamePrefix="/cortex/")["logGroups"]
    return [group["logGroupName"] for group in found]


def logs(cortex: Cortex, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cortex.run("logs", name, *arguments)


@pytest.mark.parametrize("name", FAILURES)
def test_records_and_reason_stay(cortex: Cortex, project: Path, name: str) -> None:
    shown = logs(cortex, name, "--no-follow")
    assert shown.returncode == 0, shown.stderr
    # What is killed from outside has no last words.
    assert f" INFO here is {name}\n" in shown.stdout or name == "hungry"
    (line,) = shown.stderr.splitlines()
    assert line.startswith(f"{name} is not deployed: ")
    assert FAILURES[name][2] in line
    assert ("Traceback" in shown.stdout) == (name in ("raises", "answers"))
    # To follow what ends no more would be to wait for ever.
    assert logs(cortex, name).stdout == shown.stdout
    last = json.loads(logs(cortex, name, "--no-follow", "-o", "json").stdout.splitlines()[-1])
    assert (last["event"], last["level"]) == ("deployment_failed", "CRITICAL")
    got = cortex.run("get", name)
    assert (got.returncode, f"hint: see what became of it with: cortex why {name}" in got.stderr) == (1, True)
    found = read_json("why", cortex.ok("why", name, "-o", "json"))
    assert (found["status"], found["cause"]["subject"]) == ("not deployed", "deployment")
    assert FAILURES[name][2] in found["cause"]["message"]
    assert found["next"].endswith("and deploy again")


def test_a_start_that_hangs_names_its_line(cortex: Cortex, project: Path) -> None:
    assert "hangs.py:7 in __init__: import time; time.sleep(1000)" in cortex.ok("why", "hangs")


def test_what_was_never_deployed_has_no_records(cortex: Cortex, project: Path) -> None:
    for name in ("never", "rais", "raises2"):
        done = logs(cortex, name, "--no-follow")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {name} is not deployed\n")


def test_records_outlive_a_restart_and_suit_an_output_that_lacks_their_characters(
    cortex: Cortex, project: Path
) -> None:
    cortex.ok("local", "down")
    for arguments in ((), ("-o", "json")):
        done = cortex.run("logs", "raises", "--no-follow", *arguments, environ={"PYTHONIOENCODING": "latin-1"})
        assert done.returncode == 0, done.stderr
        assert "smile \\ud83d\\ude42" in done.stdout
        assert done.stderr.startswith("raises is not deployed: the replica failed: ")


def test_the_next_deployment_has_records_of_its_own(cortex: Cortex, project: Path, tmp_path: Path) -> None:
    write(tmp_path, ("raises", "ends"), good=True)
    cortex.ok("deploy", cwd=tmp_path)
    assert json.loads(cortex.ok("predict", "raises", "-", stdin='{"number": 2}')) == {"number": 2}
    shown = logs(cortex, "raises", "--no-follow")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.count("here is") == 1
    assert "no such model" not in shown.stdout
    cortex.ok("delete", "raises", "--yes")
    assert "/cortex/local/raises" not in groups(cortex)
    gone = logs(cortex, "raises", "--no-follow")
    assert (gone.returncode, gone.stderr.splitlines()[0]) == (1, "error: raises is not deployed")


def test_what_failed_can_be_deleted(cortex: Cortex, project: Path) -> None:
    assert cortex.json("delete", "hungry", "--yes") == {
        "name": "hungry",
        "kind": "RealtimeAPI",
        "message": "deleted hungry",
    }
    assert "/cortex/local/hungry" not in groups(cortex)
    for command in (("logs", "hungry", "--no-follow"), ("delete", "hungry", "--yes")):
        again = cortex.run(*command)
        assert (again.returncode, again.stderr.splitlines()[0]) == (1, "error: hungry is not deployed")


def test_following_a_first_deployment_ends_when_it_fails(cortex: Cortex, project: Path, tmp_path: Path) -> None:
    """And a second failure shows its own records only."""
    write(tmp_path, ("answers",))
    deploying = subprocess.Popen(
        [CORTEX, "deploy"], cwd=tmp_path, env=cortex.environ, stderr=subprocess.PIPE, text=True
    )
    assert deploying.stderr
    for line in deploying.stderr:
        if "creating" in line:
            break
    shown = logs(cortex, "answers")
    deploying.communicate(timeout=60)
    assert (deploying.returncode, shown.returncode) == (1, 0)
    assert shown.stderr.startswith("answers is not deployed: ")
    assert shown.stdout.count("not deployed: ") == 1
