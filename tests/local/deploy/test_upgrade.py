"""An upgrade loses nothing: every API answers again, though what was stored cannot be read as it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cortex_cdk.localcloud.daemon.durability import SNAPSHOT_FILE
from tests.conftest import CORTEX, ROOT, Cortex
from tests.local.waiting import until

OLD_STATE = ROOT / "tests/local/deploy/data/state-of-format-2.tar.xz"
"""What the last version without records stored of this project."""
PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        self.name = config["name"]

    def predict(self, payload):
        return {"api": self.name}
"""
CONFIG: list[dict[str, Any]] = [
    {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"name": name}},
        "compute": {"cpu": "50m", "mem": "200Mi"},
        "autoscaling": {"min_replicas": replicas, "max_replicas": 3},
    }
    for name, replicas in (("one", 2), ("two", 1))
]
CONFIG += [
    {
        "name": "shared",
        "kind": "TrafficSplitter",
        "apis": [{"name": "one", "weight": 50}, {"name": "two", "weight": 50}],
    }
]
REQUESTED = {"one": 2, "two": 1}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "cortex.yaml").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture(scope="module")
def deployed(cortex: Cortex, project: Path) -> Cortex:
    cortex.ok("deploy", str(project))
    return cortex


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cortex]:
    """A cortex of a test's own."""
    cortex = Cortex(tmp_path / "home")
    yield cortex
    cortex.ok("local", "down")


def ask(endpoint: str) -> str:
    request = urllib.request.Request(endpoint, b"{}", {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["api"])


def answers(cortex: Cortex) -> dict[str, set[str]]:
    """What thirty requests to each API are answered."""
    endpoints = {api["name"]: api["endpoint"] for api in cortex.json("get")}
    return {name: {ask(endpoint) for _ in range(30)} for name, endpoint in endpoints.items()}


def all_answer(cortex: Cortex) -> None:
    """Every API is what it was: it answers, with the replicas that it asks for."""
    until(lambda: all(api["status"] == "live" for api in cortex.json("get")))
    assert answers(cortex) == {"one": {"one"}, "two": {"two"}, "shared": {"one", "two"}}
    for api in cortex.json("get"):
        if api["name"] in REQUESTED:
            count = REQUESTED[api["name"]]
            assert api["replicas"] == {"requested": count, "up_to_date": count, "stale": 0, "failed": 0}


def revisions(cortex: Cortex) -> list[str]:
    return [api.get("revision", "") for api in cortex.json("get")]


def kill(cortex: Cortex) -> None:
    daemon = cortex.daemon()
    os.kill(daemon.pid, signal.SIGKILL)
    psutil.wait_procs([daemon], timeout=60)


def of_another_version(snapshot: Path) -> None:
    header, _, rest = snapshot.read_bytes().partition(b"\n")
    snapshot.write_bytes(json.dumps({**json.loads(header), "moto": "99.0"}).encode() + b"\n" + rest)


def corrupt(snapshot: Path) -> None:
    content = bytearray(snapshot.read_bytes())
    content[1000:1100] = os.urandom(100)
    snapshot.write_bytes(content[:-1000])


@pytest.mark.parametrize("damage", [of_another_version, corrupt])
def test_every_api_answers_again(deployed: Cortex, project: Path, damage: Callable[[Path], None]) -> None:
    before = revisions(deployed)
    kill(deployed)
    damage(deployed.home / "local" / SNAPSHOT_FILE)

    up = deployed.run("local", "up")

    assert up.returncode == 0, up.stderr
    assert "so everything was made again from its records: cortex-local-cluster, cortex-local-api-" in up.stderr
    assert up.stdout.splitlines()[1:4] == ["one:      live", "two:      live", "shared:   live"]
    all_answer(deployed)
    assert revisions(deployed) == before
    assert "made again" in deployed.run("local", "status").stderr
    assert deployed.run("get").stderr == "", "only up and status tell what is as it was"
    replicas = deployed.replicas()
    said = deployed.ok("deploy", str(project))
    for name in ("one (RealtimeAPI)", "two (RealtimeAPI)", "shared (TrafficSplitter)"):
        assert f"{name} is up to date\n" in said
    assert deployed.replicas() == replicas, "nothing of the project has changed"
    all_answer(deployed)


def test_logs_and_the_next_update_go_on(deployed: Cortex, project: Path) -> None:
    lines = deployed.ok("logs", "one", "--no-follow").splitlines()
    deployed.ok("local", "down")
    of_another_version(deployed.home / "local" / SNAPSHOT_FILE)
    deployed.ok("local", "up")
    assert set(lines) <= set(deployed.ok("logs", "one", "--no-follow").splitlines())
    (project / "predictor.py").write_text(PREDICTOR.replace("self.name}", 'self.name + "!"}'))
    deployed.ok("deploy", str(project))
    (project / "predictor.py").write_text(PREDICTOR)
    assert answers(deployed) == {"one": {"one!"}, "two": {"two!"}, "shared": {"one!", "two!"}}
    assert deployed.ok("delete", "shared", "--yes").startswith("deleted shared")


def test_a_state_of_the_version_without_records_is_read(own: Cortex) -> None:
    """Its classes lived in other modules, its images do not say what they were built from, and their Python is gone."""
    state = own.home / "local"
    state.mkdir(parents=True)
    with tarfile.open(OLD_STATE) as archive:
        archive.extractall(state, filter="data")

    up = own.run("local", "up")

    assert (up.returncode, up.stderr) == (0, "")
    all_answer(own)
    assert len(list((state / "records/stacks").iterdir())) == 4


def test_replicas_follow_when_python_moves(own: Cortex, project: Path, tmp_path: Path) -> None:
    """The project asks for nothing that the local cloud's own Python lacks: its replicas run in that one."""
    moved = tmp_path / "venv"
    moved.symlink_to(Path(sys.prefix))
    up = subprocess.run(
        [moved / "bin/python", CORTEX, "local", "up"], env=own.environ, capture_output=True, text=True, check=False
    )
    assert up.returncode == 0, up.stderr
    assert str(moved) in " ".join(own.daemon().cmdline())
    own.ok("deploy", str(project))
    kill(own)
    moved.unlink()

    own.ok("local", "up")

    all_answer(own)
    assert all(str(moved) not in " ".join(psutil.Process(pid).cmdline()) for pid in own.replicas())
