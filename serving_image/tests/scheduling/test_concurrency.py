"""Processes, threads, the one queue per replica, its limit, and clients' deadlines."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Replica, Serve, eventually, running, task, write_project

SLEEPER = """
import os, time
class PythonPredictor:
    def __init__(self, config):
        self.seconds = config["seconds"]
    def predict(self, payload):
        time.sleep(self.seconds)
        return {"pid": os.getpid(), "payload": payload}
"""


def test_threads_per_process_run_at_once(serve: Serve) -> None:
    replica = serve(
        """
        import threading
        barrier = threading.Barrier(3)
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                barrier.wait(10)
                return "met"
        """,
        threads_per_process=3,
    )
    with ThreadPoolExecutor(3) as pool:
        assert [answer.text for answer in pool.map(lambda _: replica.post(), range(3))] == ["met"] * 3


def test_over_the_limit_exactly_the_excess_is_refused(serve: Serve) -> None:
    replica = serve(SLEEPER, config={"seconds": 1}, threads_per_process=2, autoscaling={"max_replica_concurrency": 4})
    with ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(lambda n: requests.post(replica.address, json=n, timeout=20), range(7)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [503] * 3
    [refused, *_] = [answer for answer in answers if answer.status_code == 503]
    assert refused.headers["Retry-After"] == "1"
    assert "max_replica_concurrency" in refused.json()["error"]
    assert replica.get().json()["in_flight"] == 0


def test_the_limit_holds_across_processes(serve: Serve, tmp_path: Path) -> None:
    """Each prediction notes how many there are with it; the limit is that of the replica, whoever asks whom."""
    count = tmp_path / "count"
    count.write_text("0 0")
    replica = serve(
        f"""
        import fcntl, time

        def note(step):
            with open({str(count)!r}, "r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                now, most = map(int, file.read().split())
                file.seek(0)
                file.write(f"{{now + step}} {{max(most, now + step)}} ")

        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                note(1)
                time.sleep(0.002)
                note(-1)
                return "done"
        """,
        processes_per_replica=3,
        threads_per_process=2,
        autoscaling={"max_replica_concurrency": 2},
    )

    def ask(_: int) -> list[int]:
        with requests.Session() as session:
            return [session.post(replica.address, json=0, timeout=20).status_code for _ in range(100)]

    with ThreadPoolExecutor(8) as pool:
        statuses = {status for answers in pool.map(ask, range(8)) for status in answers}
    assert statuses == {200, 503}
    assert count.read_text().split() == ["0", "2"]


def test_connections_that_pile_up_on_one_worker_use_all_of_them(serve: Serve) -> None:
    """Keep-alive connections stay with whoever accepted them; requests must not wait while another worker is idle."""
    replica = serve(SLEEPER, config={"seconds": 0.4}, processes_per_replica=3)
    sessions = _sessions_on_one_worker(replica, 3)
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            answers = pool.map(lambda session: session.post(replica.address, json=1, timeout=20).json(), sessions)
            assert len({answer["pid"] for answer in answers}) == 3


def _sessions_on_one_worker(replica: Replica, count: int) -> list[requests.Session]:
    by_worker: dict[int, list[requests.Session]] = {}
    while True:
        session = requests.Session()
        pid = session.post(replica.address, json=0, timeout=20).json()["pid"]
        by_worker.setdefault(pid, []).append(session)
        if len(by_worker[pid]) == count:
            return by_worker[pid]


def test_a_large_body_survives_the_move_to_another_worker(serve: Serve) -> None:
    replica = serve(
        """
        import hashlib, os, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                time.sleep(0.05)
                return hashlib.sha256(payload).hexdigest()
        """,
        processes_per_replica=2,
    )
    import hashlib

    def send(n: int) -> bool:
        body = os.urandom(300_000 + n)
        with requests.Session() as session:
            return all(
                session.post(replica.address, data=body, timeout=20).text == hashlib.sha256(body).hexdigest()
                for _ in range(5)
            )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(send, range(8)))


def test_a_deadline_drops_a_waiting_request_at_once(serve: Serve, tmp_path: Path) -> None:
    replica = serve(
        f"""
        import time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                open({str(tmp_path / "seen")!r}, "a").write(f"{{payload}} ")
                time.sleep(1.5)
                return "done"
        """
    )
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(replica.post, "first")
        eventually(lambda: replica.get().json()["in_flight"] == 1)
        late = requests.post(replica.address, json="late", headers={"X-Cortex-Timeout-Ms": "100"}, timeout=20)
        assert not first.done(), "the 504 must not wait for the predictor"
        assert late.status_code == 504
        assert "X-Cortex-Timeout-Ms" in late.json()["error"]
        assert first.result().text == "done"
    assert replica.post("next", headers={"X-Cortex-Timeout-Ms": "20000"}).text == "done"
    for left in ["0"] * 20 + ["0.04", "-12.5"]:
        assert replica.post("never", headers={"X-Cortex-Timeout-Ms": left}).status_code == 504
    assert (tmp_path / "seen").read_text().split() == ["first", "next"]


def test_killing_one_of_two_workers_costs_only_its_requests(
    serve: Serve, record_property: Callable[[str, object], None]
) -> None:
    replica = serve(SLEEPER, config={"seconds": 0.02}, processes_per_replica=2)
    stop = threading.Event()
    answered: list[int] = []
    failed: list[tuple[int, float, requests.ConnectionError]] = []  # which client, when it had sent its request

    def client(number: int) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                answer = requests.post(replica.address, json=1, timeout=20)
            except requests.ConnectionError as error:
                failed.append((number, began, error))
                continue
            assert answer.status_code == 200, answer.text
            answered.append(answer.json()["pid"])

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(client, number) for number in range(16)]
        eventually(lambda: len(set(answered)) == 2)
        victim, survivor = answered[-1], next(pid for pid in answered if pid != answered[-1])
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        replica.wait_for("worker_died")
        noticed = time.monotonic()
        before = answered.count(survivor)
        replica.wait_for("worker_ready")
        record_property("seconds until the capacity was back", round(time.monotonic() - killed, 2))
        eventually(lambda: len(set(answered)) == 3)
        stop.set()
        for done in clients:
            done.result()
    assert len({number for number, *_ in failed}) == len(failed), "a client failed twice, but one process was killed"
    assert all(began < noticed for _, began, _ in failed), "a request failed that came after the process was dead"
    assert answered.count(survivor) > before, "the other worker stopped, too"
    assert replica.get().json()["restarts"] == 1
    assert replica.stop() == 0


@pytest.mark.parametrize("batching", [None, {"max_batch_size": 4, "batch_interval": "5ms"}], ids=["", "batches"])
@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_under_load_answers_every_request(
    serve: Serve, processes: int, batching: dict[str, Any] | None
) -> None:
    """Sixteen clients send one request after the other, half of them each on a new connection."""
    options = {} if batching is None else {"server_side_batching": batching}
    code = (
        SLEEPER
        if batching is None
        else SLEEPER.replace("return {", "return [{").replace("payload}", "n} for n in payload]")
    )
    replica = serve(code, config={"seconds": 0.01}, processes_per_replica=processes, threads_per_process=4, **options)
    draining = threading.Event()
    statuses: list[int] = []

    def client(number: int) -> None:
        with requests.Session() as session:
            send = session.post if number % 2 else requests.post
            while not draining.is_set():  # a load balancer stops, too, once the health check fails
                answer = send(replica.address, json=number, timeout=20)
                assert answer.status_code == 200, answer.text
                assert answer.json()["payload"] == number
                statuses.append(answer.status_code)

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(client, number) for number in range(16)]
        eventually(lambda: len(statuses) > 200 or any(done.done() for done in clients))
        replica.process.send_signal(signal.SIGTERM)
        replica.wait_for("draining")
        told = len(statuses)
        # requests keep coming for a while, as they do behind a load balancer
        eventually(lambda: len(statuses) > told + 100 or any(done.done() for done in clients))
        draining.set()
        for done in clients:
            done.result()  # a refused connection is a failed request
    assert replica.stop() == 0


@pytest.mark.parametrize("threads", [1, 4])
def test_quick_and_slow_answers_by_turns(serve: Serve, threads: int) -> None:
    """The loop passes from thread to thread with every slow answer (``leader_follower``): nothing may be lost."""
    replica = serve(
        """
        import random, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                if random.random() < 0.05:
                    time.sleep(random.choice([0.03, 0.06]))
                return payload
        """,
        threads_per_process=threads,
    )

    def client(start: int) -> bool:
        with requests.Session() as session:
            send = session.post if start % 2 else requests.post
            return all(send(replica.address, json=n, timeout=20).json() == n for n in range(start, start + 60))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(client, range(0, 8000, 1001)))


def test_answers_that_do_not_come_in_time_to_stop_are_told(tmp_path: Path) -> None:
    code = """
        import time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                yield "begun"
                time.sleep(100)
    """
    project = write_project(tmp_path / "project", code, threads_per_process=2)
    with running([], task(project, stop_timeout=6)) as replica:  # five seconds of it are kept for the end
        answers = [requests.post(f"{replica.address}/api", json=1, stream=True, timeout=30) for _ in range(2)]
        assert [next(answer.iter_content(5)) for answer in answers] == [b"begun", b"begun"]
        assert replica.stop() == 0
        [told] = replica.records(event="cut_off")
        assert told["message"] == "the time to stop is over: the answers on 2 connections are cut off"
        assert told["level"] == "WARNING"
