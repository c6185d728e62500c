"""C code that holds the interpreter: the replica is busy, not dead; one that never comes back is found."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.conftest import PATIENCE, Replica, Serve, eventually, task, write_project

HOLDING = """
import ctypes
held = ctypes.PyDLL(None)  # unlike CDLL, it keeps Python's lock

class PythonPredictor:
    def __init__(self, config):
        self.hold(config.get("init", 0))

    def predict(self, payload):
        self.hold(payload)
        return payload

    def hold(self, seconds):
        with open("held", "a") as file:
            file.write("|")
        held.sleep(seconds)
"""
HOLD = 9  # seconds; a load balancer asks every five, and waits for four
PROBES = ("/readyz", "/healthz")


def probe(replica: Replica, path: str) -> requests.Response:
    """A health probe as a load balancer sends it: on a connection of its own, and with no patience to speak of."""
    return requests.get(replica.address + path, timeout=4, headers={"Connection": "close"})


def holding(folder: Path, times: int) -> None:
    """Wait until the interpreter was held that often: a worker would never answer what it accepted just before."""
    held = folder / "project" / "held"
    eventually(lambda: held.exists() and len(held.read_text()) >= times)


@pytest.mark.parametrize("workers", [1, 2])
def test_probes_are_answered_while_workers_are_held(serve: Serve, tmp_path: Path, workers: int) -> None:
    replica = serve(HOLDING, processes_per_replica=workers)
    usual = probe(replica, "/readyz")
    with ThreadPoolExecutor(8) as pool:
        held = []
        for _ in range(workers):
            held.append(pool.submit(requests.post, f"{replica.address}/api", json=HOLD, timeout=60))
            holding(tmp_path, workers + len(held))  # each of them held for 0 s when its predictor was built
        late = [pool.submit(requests.post, f"{replica.address}/api", json=0, timeout=60) for _ in range(5)]
        answers = []
        while not any(one.done() for one in held):
            answers += [probe(replica, path) for path in PROBES]
            time.sleep(0.3)
        assert len(answers) > 10
        assert {answer.status_code for answer in answers} == {200}
        if workers == 1:
            stood_in = next(answer for answer in answers if "Server-Timing" not in answer.headers)
            assert stood_in.json().keys() == usual.json().keys()
            assert stood_in.headers["X-Cortex-Api"] == "api"
        assert [one.result().json() for one in held] == [HOLD] * workers
        assert [one.result().json() for one in late] == [0] * 5, "they waited, and none was lost"
    assert replica.get().json()["restarts"] == 0
    assert replica.post(0).json() == 0


def test_a_predictor_that_holds_the_interpreter_while_it_is_built_is_not_ready_and_lives(
    serve: Serve, tmp_path: Path
) -> None:
    replica = serve(HOLDING, ready=False, config={"init": 6})
    replica.wait_for("listening")
    holding(tmp_path, 1)
    answers = []
    while not replica.messages(event="ready"):
        answers.append(tuple(probe(replica, path).status_code for path in PROBES))
        time.sleep(0.3)
    assert set(answers[:-1]) == {(503, 200)}
    assert replica.post(0).json() == 0


@contextmanager
def impatient(project: Path, seconds: float) -> Iterator[Replica]:
    """A replica that takes a worker for dead sooner than a load balancer gives up on a request."""
    code = f"from cortex_serving.replica import supervisor; supervisor.HUNG_AFTER = {seconds}; " + (
        "from cortex_serving.cli import main; import sys; sys.exit(main([]))"
    )
    environ = {"PATH": "/usr/bin:/bin", **task(project, stop_timeout=10)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        replica = Replica(process)
        try:
            replica.wait_for("ready")
            yield replica
        finally:
            process.kill()


def test_a_worker_that_never_comes_back_is_replaced(tmp_path: Path) -> None:
    with impatient(write_project(tmp_path / "project", HOLDING), 5.0) as replica:
        client = ThreadPoolExecutor(1).submit(replica.post, 1000)
        replica.wait_for("worker_hung")
        assert "in hold" in replica.wait_for("worker_died")["message"] + "".join(replica.messages())
        assert isinstance(client.exception(PATIENCE), OSError)
        replica.wait_for("ready")
        assert eventually(lambda: probe(replica, "/readyz").status_code == 200)
        assert replica.post(0).json() == 0
        assert replica.get().json()["restarts"] == 1
