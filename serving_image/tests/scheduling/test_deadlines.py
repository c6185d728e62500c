"""Deadlines of clients, and what is left of a request after its answer: nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from cortex_serving.scheduling.deadlines import Deadlines, deadline_of
from tests.conftest import Serve, eventually

FAR = {"X-Cortex-Timeout-Ms": "999999999"}  # 11.5 days

# When it is asked to, it writes how many payloads were predicted, and how many payloads and admitted requests are left
# in memory. (Only then: gc.get_objects breaks a tuple that another thread is making.)
WATCHED = """
import gc, os, threading, time, weakref
from dataclasses import dataclass

@dataclass
class Payload:
    name: str

seen = []
payloads = weakref.WeakSet()
Payload.__hash__ = object.__hash__

def watch():
    while True:
        if os.path.exists("look"):
            admitted = sum(type(each).__name__ == "Admitted" for each in gc.get_objects())
            with open("left.tmp", "w") as file:
                file.write(f"{len(seen)} {len(payloads)} {admitted}")
            os.remove("look")
            os.replace("left.tmp", "left")
        time.sleep(0.01)

class PythonPredictor:
    def __init__(self, config):
        gc.disable()  # nothing shall depend on it
        threading.Thread(target=watch, daemon=True).start()
    def predict(self, payload: PAYLOAD):
        payloads.update(payload if isinstance(payload, list) else [payload])
        seen.extend([None] * (len(payload) if isinstance(payload, list) else 1))
        while any(each.name == "wait" for each in payloads) and not os.path.exists("go"):
            time.sleep(0.005)
        return ["done"] * len(payload) if isinstance(payload, list) else "done"
"""
AFTER = """
    def post_predict(self, payload, response):
        assert payloads
"""
ONE = WATCHED.replace("PAYLOAD", "Payload")
MANY = WATCHED.replace("PAYLOAD", "list[Payload]")
BATCHING = {"server_side_batching": {"max_batch_size": 4, "batch_interval": "5ms"}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "alone": (ONE, {}),
    "on threads": (ONE, {"threads_per_process": 3}),
    "post_predict": (ONE + AFTER, {}),
    "batches": (MANY, BATCHING),
    "batches, post_predict": (MANY + AFTER, BATCHING),
}


def _left(project: Path) -> list[int]:
    """Payloads that were predicted; payloads that are left; admitted requests that are left."""
    (project / "left").unlink(missing_ok=True)
    (project / "look").touch()
    eventually((project / "left").exists)
    return [int(count) for count in (project / "left").read_text().split()]


@pytest.mark.parametrize("mode", ["fast", "stock"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_request_is_left_after_its_answer(serve: Serve, tmp_path: Path, kind: str, mode: str) -> None:
    code, options = KINDS[kind]
    replica = serve(code, environ={"CORTEX_HTTP": mode}, **options)
    for _ in range(3):
        assert replica.post({"name": "a"}, headers=FAR).text == "done"
    eventually(lambda: _left(tmp_path / "project") == [3, 0, 0], patience=5)


@pytest.mark.parametrize("kind", ["alone", "batches"])
def test_nothing_of_a_request_is_left_after_it_was_refused_while_it_waited(
    serve: Serve, tmp_path: Path, kind: str
) -> None:
    code, options = KINDS[kind]
    project = tmp_path / "project"
    replica = serve(code, **options)

    def ask(headers: dict[str, str], name: str) -> int:
        return requests.post(replica.address, json={"name": name}, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(ask, FAR, "wait")
        eventually(lambda: _left(project)[0] == 1)  # in flight is not enough: late ones could join its batch
        late = [pool.submit(ask, {"X-Cortex-Timeout-Ms": "100"}, "late") for _ in range(8)]
        assert [each.result() for each in late] == [504] * 8
        # What waits in a queue of the predictor's is the request without its payload.
        eventually(lambda: _left(project)[:2] == [1, 1], patience=5)
        (project / "go").touch()
        assert first.result() == 200
    eventually(lambda: _left(project) == [1, 0, 0], patience=5)


@given(st.decimals(0, 10**9 - 1, places=2))
def test_no_deadline_is_later_than_the_load_balancers(milliseconds: Decimal) -> None:
    assert deadline_of(str(milliseconds), 1000.0) == 1000.0 + min(float(milliseconds) / 1000, 300)


def test_cancelled_timers_leave_and_the_others_are_called_in_order() -> None:
    deadlines = Deadlines()
    called: list[int] = []
    done = threading.Event()
    begin = time.perf_counter()
    timers = [deadlines.at(begin + 1_000_000 + n, lambda: called.append(-1)) for n in range(5000)]
    for n in (3, 1, 2):
        deadlines.at(begin + n / 20, lambda n=n: called.append(n))  # type: ignore[misc]
    deadlines.at(begin + 0.2, done.set)
    assert all(timer.cancel() for timer in timers)
    assert len(deadlines) < 300
    assert not timers[0].cancel()
    assert done.wait(20)
    assert called == [1, 2, 3]


def test_a_timer_is_called_or_cancelled() -> None:
    deadlines = Deadlines()
    called: list[int] = []
    cancelled = 0
    for n in range(2000):
        timer = deadlines.at(time.perf_counter() + (n % 3) * 0.00005, lambda n=n: called.append(n))  # type: ignore[misc]
        if n % 7 == 0:
            time.sleep(0.0001)
        cancelled += timer.cancel()
    eventually(lambda: len(called) + cancelled == 2000)
    assert called, "every timer was cancelled: the test shows nothing"
    assert cancelled, "no timer was cancelled: the test shows nothing"
    assert len(called) == len(set(called))
