"""Children that a predictor forks and that return from its code: none of them goes on as a second worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Serve, eventually


def test_a_forked_child_that_returns_to_us_is_no_second_worker(serve: Serve) -> None:
    replica = serve(
        """
        import os, sys
        class PythonPredictor:
            def __init__(self, config):
                self.codes = []
                for end in (lambda: None, lambda: sys.exit(3), lambda: 1 / 0):
                    child = os.fork()
                    if child == 0:
                        print("built by a child", end="")
                        end()
                        return
                    self.codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            def predict(self, payload):
                child = os.fork()
                if child == 0:
                    return "child"
                os.waitpid(child, 0)
                return self.codes
        """
    )
    for _ in range(3):
        assert replica.post(1).json() == [0, 3, 1]
        eventually(lambda: replica.get().json()["in_flight"] == 0)
    assert replica.stop() == 0
    assert len(replica.messages(event="worker_ready")) == 1
    assert replica.messages(source="stdout") == ["built by a child"] * 3
    assert not replica.broken


FORKING = """
import os
def fork(payload, place):
    if payload != place:
        return
    child = os.fork()
    if child == 0:
        return
    with open("children", "a") as file:
        file.write(f"{child} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\\n")

def generate(payload):
    yield "begun"
    fork(payload, "generator")

class PythonPredictor:
    def __init__(self, config): pass
"""
RETURNING = {
    "predict": (
        """
    def predict(self, payload):
        fork(payload, "predict")
        return "done"
    """,
        {},
    ),
    "generator": (
        """
    def predict(self, payload):
        return generate(payload)
    """,
        {},
    ),
    "batch": (
        """
    def predict(self, payload):
        fork(payload[0], "batch")
        return ["done"] * len(payload)
    """,
        {"server_side_batching": {"max_batch_size": 4, "batch_interval": "1ms"}},
    ),
    "post_predict": (
        """
    def predict(self, payload):
        return "done"
    def post_predict(self, payload):
        fork(payload, "post_predict")
    """,
        {},
    ),
}


@pytest.mark.parametrize("mode", ["fast", "stock"])
@pytest.mark.parametrize("place", RETURNING)
def test_a_forked_child_ends_wherever_it_returns_to_us(serve: Serve, tmp_path: Path, place: str, mode: str) -> None:
    code, options = RETURNING[place]
    replica = serve(FORKING + code, environ={"CORTEX_HTTP": mode}, **options)
    for _ in range(3):
        assert replica.post(place).status_code == 200
    children = tmp_path / "project" / "children"
    eventually(lambda: children.exists() and len(children.read_text().splitlines()) == 3)
    assert [line.split()[1] for line in children.read_text().splitlines()] == ["0"] * 3
    for _ in range(20):
        assert replica.post("quick").status_code == 200
    eventually(lambda: replica.get().json()["in_flight"] == 0)
