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
        held.sleep(config.get("init", 0))

    def predict(self, payload):
        held.sleep(payload)
        return payload
"""
HOLD = 9  # seconds; a load balancer asks every five, and waits for four
PROBES = ("/readyz", "/healthz")


def probe(replica: Replica, path: str) -> requests.Response:
    """A health probe as a load balancer sends it: on a connection of its own, and with no patience to speak of."""
    return requests.get(replica.address + path, timeout=4, headers={"Connection": "close"})


@pytest.mark.parametrize("workers", [1, 2])
def test_probes_are_answered_while_workers_are_held(serve: Serve, workers: int) -> None:
    replica = serve(HOLDING, processes_per_replica=workers)
    usual = probe(replica, "/readyz")
    with ThreadPoolExecutor(8) as pool:
        held = [pool.submit(requests.post, f"{replica.address}/api", json=HOLD, timeout=60) for _ in range(workers)]
        time.sleep(0.5)  # they have arrived; nobody could say so
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


def test_a_predictor_that_holds_the_interpreter_while_it_is_built_is_not_ready_and_lives(serve: Serve) -> None:
    replica = serve(HOLDING, ready=False, config={"init": 6})
    replica.wait_for("listening")
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
        assert "line 10 in predict" in replica.wait_for("worker_died")["message"] + "".join(replica.messages())
        assert isinstance(client.exception(PATIENCE), OSError)
        replica.wait_for("ready")
        assert eventually(lambda: probe(replica, "/readyz").status_code == 200)
        assert replica.post(0).json() == 0
        assert replica.get().json()["restarts"] == 1
