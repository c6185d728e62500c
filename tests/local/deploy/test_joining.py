"""``cortex deploy`` while a deployment runs: the same is waited for, anything else is refused."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.conftest import CORTEX, Cortex

WAITS = "the same is being deployed already: waiting for that"


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], None]:
    """Writes a predictor that is built once a file is there."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "cortex.yaml").write_text(
        "- {name: slow, kind: RealtimeAPI, predictor: {type: python, path: predictor.py}, compute: {mem: 200Mi}}\n"
    )

    def write(answer: str) -> None:
        (folder / "predictor.py").write_text(
            "import os, time\n"
            "class PythonPredictor:\n"
            "    def __init__(self, config):\n"
            f"        while not os.path.exists({str(tmp_path / answer)!r}):\n"
            "            time.sleep(0.05)\n"
            f"    def predict(self):\n        return {answer!r}\n"
        )

    return write


class Deployment:
    """A ``cortex deploy`` that runs, and what it has printed."""

    def __init__(self, cortex: Cortex, folder: Path, number: int) -> None:
        self._file = folder / f"said-{number}"
        with self._file.open("w") as sink:
            self.process = subprocess.Popen(
                [str(CORTEX), "deploy", str(folder / "project")],
                cwd=folder,
                env=cortex.environ,
                stdout=sink,
                stderr=sink,
            )

    def said(self) -> str:
        return self._file.read_text()

    def until(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.said():
            assert time.monotonic() < deadline and self.process.poll() is None, self.said()
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        return self.process.wait(120), self.said()


@pytest.fixture
def deploying(cortex: Cortex, tmp_path: Path) -> Iterator[Callable[[], Deployment]]:
    """Begins to deploy the project; whatever still runs at the end is killed."""
    cortex.ok("local", "up")
    begun: list[Deployment] = []

    def begin() -> Deployment:
        begun.append(Deployment(cortex, tmp_path, len(begun)))
        return begun[-1]

    yield begin
    for deployment in begun:
        deployment.process.kill()
        deployment.process.wait()


def until_it_runs(cortex: Cortex) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(ClientError):
            [stack] = cortex.aws("cloudformation").describe_stacks(StackName="cortex-local-api-slow")["Stacks"]
            if stack["StackStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("revision", ["first", "next"])
def test_a_deployment_that_was_left_is_joined(
    cortex: Cortex,
    tmp_path: Path,
    project: Callable[[str], None],
    deploying: Callable[[], Deployment],
    revision: str,
) -> None:
    project(revision)
    left = deploying()
    until_it_runs(cortex)
    left.process.send_signal(signal.SIGINT)
    code, said = left.end()
    assert code == 130, said
    assert "an operation that has begun goes on by itself" in said

    joined = deploying()
    joined.until(WAITS)
    project("other")
    refused = cortex.run("deploy", str(tmp_path / "project"))
    assert refused.returncode == 1, refused.stdout
    assert "slow: another operation is changing it (" in refused.stderr
    (tmp_path / revision).touch()
    code, said = joined.end()
    assert code == 0, said
    assert "deployed slow (RealtimeAPI)" in said
    project(revision)
    assert "slow (RealtimeAPI) is up to date" in cortex.ok("deploy", str(tmp_path / "project"))
    assert cortex.ok("predict", "slow", "-", stdin="").strip() == revision


def test_a_deployment_that_is_joined_may_fail(
    cortex: Cortex, tmp_path: Path, project: Callable[[str], None], deploying: Callable[[], Deployment]
) -> None:
    project("broken")
    file = tmp_path / "project" / "predictor.py"
    file.write_text(
        file.read_text().replace("    def predict", "        raise ValueError('no weights')\n    def predict")
    )
    both = [deploying()]
    until_it_runs(cortex)
    both.append(deploying())
    both[1].until(WAITS)
    (tmp_path / "broken").touch()
    for deployment in both:
        code, said = deployment.end()
        assert code == 1, said
        assert "ValueError: no weights" in said


def test_a_deployment_whose_api_is_deleted_meanwhile_says_so(
    cortex: Cortex, tmp_path: Path, project: Callable[[str], None], deploying: Callable[[], Deployment]
) -> None:
    (tmp_path / "here").touch()
    project("here")
    cortex.ok("deploy", str(tmp_path / "project"))
    project("never")
    updating = deploying()
    until_it_runs(cortex)
    updating.until("ServiceD69D759B")
    time.sleep(2)  # it asks less often by then than the deletion, which has to see the end of the update first
    cortex.ok("delete", "slow", "--yes")
    code, said = updating.end()
    assert code == 1, said
    assert "error: slow was deleted while it was updated" in said
