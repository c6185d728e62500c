"""``cortex deploy`` while a deployment runs: the same is waited for, anything else is refused."""

from __future__ import annotations

import contextlib
import json
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


def leave_by_interrupt(cortex: Cortex, _folder: Path, deploying: Callable[[], Deployment]) -> None:
    left = deploying()
    until_it_runs(cortex)
    left.process.send_signal(signal.SIGINT)
    code, said = left.end()
    assert code == 130, said
    assert "an operation that has begun goes on by itself" in said


def leave_by_option(cortex: Cortex, folder: Path, _deploying: Callable[[], Deployment]) -> None:
    [left] = json.loads(cortex.ok("deploy", str(folder), "--no-wait", "-o", "json"))
    assert (left["message"], left["changed"], left["in_progress"]) == ("slow (RealtimeAPI): updating", True, True)
    said = cortex.ok("deploy", str(folder), "--no-wait")
    assert "slow (RealtimeAPI): the same is being deployed already\n" in said
    assert "status:   cortex get slow --watch\n" in said


@pytest.mark.parametrize(("revision", "leave"), [("first", leave_by_interrupt), ("next", leave_by_option)])
def test_a_deployment_that_was_left_is_joined(
    cortex: Cortex,
    tmp_path: Path,
    project: Callable[[str], None],
    deploying: Callable[[], Deployment],
    revision: str,
    leave: Callable[[Cortex, Path, Callable[[], Deployment]], None],
) -> None:
    project(revision)
    leave(cortex, tmp_path / "project", deploying)
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


@pytest.mark.parametrize("is_new", [True, False], ids=["created", "updated"])
def test_a_deployment_whose_api_is_deleted_meanwhile_says_so(
    cortex: Cortex, tmp_path: Path, project: Callable[[str], None], deploying: Callable[[], Deployment], is_new: bool
) -> None:
    cortex.run("delete", "slow", "--yes")
    if not is_new:
        (tmp_path / "here").touch()
        project("here")
        cortex.ok("deploy", str(tmp_path / "project"))
    project("never")
    updating = deploying()
    until_it_runs(cortex)
    time.sleep(2)  # it asks less often by then than the deletion, which has to see the end of the update first
    cortex.ok("delete", "slow", "--yes")
    code, said = updating.end()
    assert code == 1, said
    assert f"error: slow was deleted while it was {'created' if is_new else 'updated'}" in said


@pytest.mark.parametrize("is_new", [True, False], ids=["created", "updated"])
def test_a_deployment_that_another_one_takes_the_place_of_says_so(
    cortex: Cortex, tmp_path: Path, project: Callable[[str], None], deploying: Callable[[], Deployment], is_new: bool
) -> None:
    cortex.run("delete", "slow", "--yes")
    for name in ("here", "fixed"):
        (tmp_path / name).touch()
    if not is_new:
        project("here")
        cortex.ok("deploy", str(tmp_path / "project"))
    project("never")
    both = [deploying()]
    until_it_runs(cortex)
    both.append(deploying())
    both[1].until(WAITS)
    project("fixed")
    cortex.ok("deploy", "--force", str(tmp_path / "project"))
    for deployment in both:
        code, said = deployment.end()
        assert code == 1, said
        assert "error: slow: this deployment did not get to serve: another deployment took its place" in said
        assert "updated" not in said.replace("slow (RealtimeAPI) was not updated", "")
    assert cortex.ok("predict", "slow", "-", stdin="").strip() == "fixed"
    cortex.ok("delete", "slow", "--yes")


def test_a_deployment_that_somebody_cancels_says_so(
    cortex: Cortex, tmp_path: Path, project: Callable[[str], None], deploying: Callable[[], Deployment]
) -> None:
    (tmp_path / "here").touch()
    project("here")
    cortex.ok("deploy", str(tmp_path / "project"))
    project("never")
    updating = deploying()
    until_it_runs(cortex)
    cortex.aws("cloudformation").cancel_update_stack(StackName="cortex-local-api-slow")
    code, said = updating.end()
    assert code == 1, said
    assert "error: slow: this deployment did not get to serve: another command gave it up" in said
    assert cortex.ok("predict", "slow", "-", stdin="").strip() == "here"
    cortex.ok("delete", "slow", "--yes")


def test_a_refresh_while_replicas_are_replaced_is_refused_unless_forced(
    cortex: Cortex, tmp_path: Path, project: Callable[[str], None], deploying: Callable[[], Deployment]
) -> None:
    cortex.run("delete", "slow", "--yes")
    project("here")
    creating = deploying()
    until_it_runs(cortex)
    for options in ([], ["--force"]):
        refused = cortex.run("refresh", "slow", *options)
        # The service comes last, seconds after the stack.
        assert refused.returncode == 1
        assert "slow is being deployed for the first time" in refused.stderr or "has no replicas yet" in refused.stderr
    (tmp_path / "here").touch()
    assert creating.end()[0] == 0

    project("next")
    updating = deploying()
    until_it_runs(cortex)
    refused = cortex.run("refresh", "slow")
    assert (refused.returncode, "error: slow is being updated" in refused.stderr) == (1, True), refused.stderr
    assert "or override it with --force" in refused.stderr
    until_replaced(cortex)
    cortex.ok("refresh", "slow", "--force")
    code, said = updating.end()
    assert code == 1, said
    assert "error: slow: this deployment did not end: another refresh took its place" in said
    assert cortex.ok("predict", "slow", "-", stdin="").strip() == "here"

    (tmp_path / "here").unlink()
    cortex.ok("refresh", "slow")
    refused = cortex.run("refresh", "slow")
    assert (refused.returncode, "error: slow is being refreshed already" in refused.stderr) == (1, True), refused.stderr
    cortex.ok("refresh", "slow", "--force")
    project("next")
    (tmp_path / "next").touch()
    assert "updated slow" in cortex.ok("deploy", str(tmp_path / "project"))
    assert cortex.ok("predict", "slow", "-", stdin="").strip() == "next"
    cortex.ok("delete", "slow", "--yes")


def until_replaced(cortex: Cortex) -> None:
    """Wait until the update has come to the service."""
    deadline = time.monotonic() + 60
    while True:
        [service] = cortex.aws("ecs").describe_services(cluster="cortex-local", services=["slow"])["services"]
        if service["deployments"][0]["rolloutState"] == "IN_PROGRESS":
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)
