"""Server-side batching: the right answer for the right request, whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_serving.errors import UnsupportedResult
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.scheduling.batching import Batcher, BatchFailed, Expired, Item
from cortex_serving.spec import Batching
from tests.conftest import Replica, Serve, eventually

BATCHED = """
import time
import falcon
class HTTPException(Exception):  # as starlette's
    def __init__(self, status_code, detail):
        self.status_code, self.detail, self.headers = status_code, detail, {"X-Why": "mine"}
HTTP = {
    "falcon": falcon.HTTPBadRequest(description="no such word"),
    "busy": falcon.HTTPServiceUnavailable(description="later", headers={"Retry-After": "7"}),
    "status": falcon.HTTPStatus(418, text="a teapot"),
    "starlette": HTTPException(409, "taken"),
    "exit": SystemExit(3),
}
class PythonPredictor:
    def __init__(self, config):
        self.sizes = []
    def predict(self, payload, query_params):
        self.sizes.append(len(payload))
        time.sleep(0.05)
        assert len(query_params) == len(payload)
        if "sizes" in payload:
            return [self.sizes] * len(payload)
        if "short" in payload:
            return payload[:-1]
        if "raise" in payload:
            raise RuntimeError("the whole batch")
        if any(isinstance(item, dict) for item in payload):
            payload[0].pop("number")  # predict may take payloads apart
            payload = [item["value"] for item in payload]
        for item in payload:
            if item in HTTP:
                raise HTTP[item]
        return [ValueError("just one") if item == "bad" else {"got": item} for item in payload]
"""
BATCHING = {"max_batch_size": 8, "batch_interval": "50ms"}


class Waiting(Item):
    """An item whose answer somebody waits for."""

    def __init__(self, arguments: dict[str, Any], timeout: float | None = None) -> None:
        self.settlements = 0
        self._known = threading.Event()
        deadline = None if timeout is None else time.perf_counter() + timeout
        self._unclaimed = [True]
        super().__init__(arguments, deadline, self._claim)

    def _claim(self) -> bool:
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    def note(self) -> None:
        self.settlements += 1
        self._known.set()

    def wait(self) -> Any:
        assert self._known.wait(20), "an item was forgotten"
        return self.result()


def _post(replica: Replica, value: Any) -> requests.Response:
    return requests.post(replica.address, json=value, timeout=30)


def test_requests_are_batched_and_answered_apart(serve: Serve) -> None:
    replica = serve(BATCHED, server_side_batching=BATCHING)
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda n: _post(replica, n).json(), range(96)))
    assert answers == [{"got": n} for n in range(96)]
    sizes = replica.post("sizes").json()
    assert max(sizes) <= 8
    assert len(sizes) < 97 / 2, f"requests were hardly batched: {sizes}"
    timing = replica.post(1).headers["Server-Timing"]
    assert [part.split(";")[0] for part in timing.split(", ")] == ["queue", "batch", "predict", "encode"]


def test_a_bad_item_fails_alone_and_a_bad_batch_fails_whole_with_one_line(serve: Serve) -> None:
    replica = serve(BATCHED, server_side_batching=BATCHING)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda value: _post(replica, value), ["bad", 1, 2]))
    assert [answer.status_code for answer in answers] == [500, 200, 200]
    assert _post(replica, "short").status_code == 500
    assert _post(replica, "raise").status_code == 500
    assert _post(replica, 5).json() == {"got": 5}
    assert replica.stop() == 0
    errors = replica.messages(level="ERROR")
    assert sum("just one" in text for text in errors) == 1
    assert sum("predict returned 0 values for a batch of 1" in text for text in errors) == 1
    assert sum("the whole batch" in text for text in errors) == 1


# By what is raised: the status and a part of the answer.
ERRORS = {
    "falcon": (400, '{"error":"no such word"}'),
    "busy": (503, "later"),
    "status": (418, "a teapot"),
    "starlette": (409, "taken"),
    "exit": (500, "internal server error"),
    "raise": (500, "internal server error"),
}


def _batch(replica: Replica, tmp_path: Path, values: list[Any]) -> list[requests.Response]:
    """Have values predicted in one batch: all wait while another one is predicted."""
    ids = (f"{value}-{number}" if isinstance(value, str) else f"id-{number}" for number, value in enumerate(values))

    def ask(value: Any, name: str) -> requests.Response:
        return requests.post(replica.address, json=value, headers={"X-Request-Id": name}, timeout=30)

    with ThreadPoolExecutor(len(values) + 1) as pool:
        (tmp_path / "wait").touch()
        first = pool.submit(_post, replica, "wait")
        eventually(lambda: not (tmp_path / "wait").exists())
        answers = [pool.submit(ask, value, name) for value, name in zip(values, ids, strict=True)]
        eventually(lambda: replica.get("/healthz").json()["in_flight"] == len(values) + 1)
        (tmp_path / "go").touch()
        assert first.result().status_code == 200
        return [answer.result() for answer in answers]


def _gated(tmp_path: Path) -> str:
    """The predictor, which waits before it predicts "wait"."""
    wait = f"""
        if payload == ["wait"]:
            import os
            os.remove({str(tmp_path / "wait")!r})
            while not os.path.exists({str(tmp_path / "go")!r}):
                time.sleep(0.005)
            os.remove({str(tmp_path / "go")!r})
    """
    return BATCHED.replace("        time.sleep(0.05)\n", wait)


@pytest.mark.parametrize("on_error", ["split", "fail"])
def test_an_exception_in_a_batch_of_one_is_that_requests_answer(serve: Serve, on_error: str) -> None:
    replica = serve(BATCHED, server_side_batching={**BATCHING, "on_error": on_error})
    for value, (status, text) in ERRORS.items():
        answer = _post(replica, value)
        assert (answer.status_code, text in answer.text) == (status, True), answer.text
    assert _post(replica, "busy").headers["Retry-After"] == "7"
    assert _post(replica, "starlette").headers["X-Why"] == "mine"
    assert replica.stop() == 0
    logged = [text.splitlines()[-1] for text in replica.messages(level="ERROR")]
    assert logged == ["SystemExit: 3", "RuntimeError: the whole batch"]
    assert all(record.get("request_id") for record in replica.records(level="ERROR"))


def test_each_request_of_a_batch_that_failed_is_predicted_again_alone(serve: Serve, tmp_path: Path) -> None:
    replica = serve(_gated(tmp_path), server_side_batching=BATCHING)
    for value, (status, text) in ERRORS.items():
        if value == "exit":
            continue
        good, bad, other = _batch(replica, tmp_path, ["good", value, "other"])
        assert (good.json(), other.json()) == ({"got": "good"}, {"got": "other"})
        assert (bad.status_code, text in bad.text) == (status, True), bad.text
    # What the batch has done to a payload is undone.
    answers = _batch(replica, tmp_path, [{"number": 1, "value": value} for value in ("a", "falcon", "b")])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 400]
    assert replica.stop() == 0
    warnings = [text.splitlines()[0] for text in replica.messages(level="WARNING")]
    assert len(warnings) == len(ERRORS)
    for value, text in zip(ERRORS, warnings, strict=False):
        if value not in ("exit", "raise"):
            assert text.startswith("a batch of 3 failed (requests ")
            assert {"good-0", f"{value}-1", "other-2"} == set(
                text.partition("requests ")[2].partition(")")[0].split(", ")
            )
    (error,) = replica.records(level="ERROR")
    assert error["message"].endswith("RuntimeError: the whole batch")
    assert error["request_id"] == "raise-1"
    assert sum(record.get("BatchesSplit", 0) for record in replica.lines) == len(ERRORS)


def test_a_batch_that_failed_stays_failed_if_the_api_wants_that(serve: Serve, tmp_path: Path) -> None:
    replica = serve(_gated(tmp_path), server_side_batching={**BATCHING, "on_error": "fail"})
    answers = _batch(replica, tmp_path, ["good", "falcon", "other"])
    assert [answer.status_code for answer in answers] == [500] * 3
    assert replica.stop() == 0
    (error,) = replica.messages(level="ERROR")
    assert error.startswith("a batch of 3 failed (requests ")
    assert "HTTPBadRequest" in error.splitlines()[-1]


@pytest.mark.parametrize("value", ["short", "exit"])
def test_what_no_request_is_to_blame_for_fails_the_batch(serve: Serve, tmp_path: Path, value: str) -> None:
    replica = serve(_gated(tmp_path), server_side_batching=BATCHING)
    answers = _batch(replica, tmp_path, ["good", value, "other"])
    assert [answer.status_code for answer in answers] == [500] * 3
    assert replica.stop() == 0
    (error,) = replica.messages(level="ERROR")
    assert error.startswith("a batch of 3 failed (requests ")


def test_waiting_for_a_batch_ends_at_the_clients_deadline(serve: Serve, tmp_path: Path) -> None:
    replica = serve(
        f"""
        import os, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                open({str(tmp_path / "running")!r}, "a").write(f"{{payload}}")
                while not os.path.exists({str(tmp_path / "go")!r}):
                    time.sleep(0.01)
                return payload
        """,
        server_side_batching=BATCHING,
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_post, replica, 1)
        eventually((tmp_path / "running").exists)
        headers = {"X-Cortex-Timeout-Ms": "50"}
        assert requests.post(replica.address, json=2, headers=headers, timeout=30).status_code == 504
        (tmp_path / "go").touch()
        assert first.result().json() == 1
    assert _post(replica, 3).json() == 3
    assert (tmp_path / "running").read_text() == "[1][3]"


def note_all(items: Iterable[Any]) -> None:
    for item in items:
        item.note()


def run_batches(batcher: Batcher[Any]) -> None:
    """As a worker does, for as long as the process lives."""

    def run() -> None:
        while True:
            batcher.run_batch()

    threading.Thread(target=run, daemon=True).start()


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 9),
    interval=st.floats(0.0, 0.02),
    splits=st.booleans(),
    items=st.lists(
        st.tuples(
            st.sampled_from(["ok", "bad", "batch", "short"]),
            st.sampled_from([None, None, 0.0, 0.005, 10.0]),
            st.floats(0, 0.002),
        ),
        max_size=40,
    ),
)
def test_no_answer_goes_to_the_wrong_item(
    size: int, interval: float, splits: bool, items: list[tuple[str, float | None, float]]
) -> None:
    def run(batch: list[Item]) -> list[Any]:
        kinds = [item.arguments["kind"] for item in batch]
        assert len(batch) <= size
        if "batch" in kinds:
            raise RuntimeError
        values = [
            KeyError(item.arguments["n"]) if kind == "bad" else item.arguments["n"]
            for item, kind in zip(batch, kinds, strict=True)
        ]
        return values[1:] if "short" in kinds else values

    batcher = Batcher(run, Batching(size, interval, splits), Counters(), lambda error, batch, split: None, note_all)
    run_batches(batcher)
    asked: list[tuple[Waiting, bool]] = []
    for n, (kind, timeout, pause) in enumerate(items):
        item = Waiting({"n": n, "kind": kind}, timeout)
        batcher.submit(item)
        time.sleep(pause)
        given_up = timeout == 0.005 and item.claim()
        if given_up and n % 2:
            batcher.withdraw(item)
        asked.append((item, given_up))
    for n, ((item, given_up), (kind, timeout, _)) in enumerate(zip(asked, items, strict=False)):
        if given_up:
            assert item.settlements == 0, "nobody waits for this answer"
            continue
        try:
            value = item.wait()
        except Expired:
            assert timeout is not None
        except KeyError as error:
            assert (kind, error.args) == ("bad", (n,))
        except BatchFailed:
            assert any(other in (("short",) if splits else ("batch", "short")) for other, _, _ in items)
        except RuntimeError:
            assert kind == "batch"
        except UnsupportedResult:
            assert kind == "short"
        else:
            assert (kind, value) == ("ok", n)
        assert item.settlements == 1


def test_why_batches_were_dispatched_is_counted() -> None:
    counters = Counters()
    batcher = Batcher(lambda batch: batch, Batching(2, 0.01), counters, lambda error, batch, split: None, note_all)
    items = [Waiting({}) for _ in range(4)]
    for item in items:
        batcher.submit(item)
    run_batches(batcher)
    for item in items:
        item.wait()
    counts: dict[str, Any] = {metric.name: metric.value for metric in counters.take()}
    assert counts["BatchesFull"] == 2
    assert counts["BatchSize"]["Sum"] == 4


@pytest.mark.parametrize("payloads", [1, 3])
def test_batches_of_typed_payloads(serve: Serve, payloads: int) -> None:
    replica = serve(
        """
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload: list[Point]):
                return [point.x + 1 for point in payload]
        """,
        server_side_batching=BATCHING,
    )
    with ThreadPoolExecutor(payloads) as pool:
        assert [a.json() for a in pool.map(lambda n: _post(replica, {"x": n}), range(payloads))] == [
            n + 1 for n in range(payloads)
        ]
    assert _post(replica, {"x": "wide"}).status_code == 422
