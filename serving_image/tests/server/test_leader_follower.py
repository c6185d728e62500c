"""Whatever threads do, exactly one of them runs the server's loop, and nothing waits that ought to be sent."""

from __future__ import annotations

import random
import socket
import threading
import time
from typing import Any

from cortex_serving.scheduling.admission import Job, Lane
from cortex_serving.server.joint_writes import CALM, Together
from cortex_serving.server.leader_follower import STEAL_AFTER, Leader
from tests.conftest import Serve, eventually


class Answer:
    """A request's task: counts as a quick answer, whose response may wait for others."""

    comes_last = False

    def __init__(self, loop: Loop, number: int) -> None:
        self._loop = loop
        self._number = number

    def service(self) -> None:
        self._loop.answer(self._number)


class Loop:
    """Stands in for the server's loop: its turns must never overlap, and never begin while a response waits."""

    def __init__(self, turns: float, tasks: int, slow_every: int) -> None:
        self.leader: Leader
        self.threads: set[int] = set()
        self.overlaps = 0
        self.begun_too_early = 0
        self.answered: list[int] = []
        self.sent: list[int] = []
        self.held = 0
        self._turns = turns
        self._tasks = tasks
        self._slow_every = slow_every
        self._next = 0
        self._inside = 0

    def turn(self, seconds: float) -> None:
        self._inside += 1
        self.overlaps += self._inside > 1
        self.threads.add(threading.get_ident())
        self.begun_too_early += len(self.answered) > len(self.sent)
        time.sleep(self._turns)
        self._inside -= 1
        for _ in range(random.randint(1, 9)):
            if self._next < self._tasks:
                self._next += 1
                self.leader.put(Answer(self, self._next))

    def answer(self, number: int) -> None:
        if self._slow_every and number % self._slow_every == 0:
            time.sleep(STEAL_AFTER * 5)  # long enough for another thread to lead meanwhile
        self.leader.measured(0.0)
        # As in the server: from here on the response is this loop's to send, at once or later.
        if self.leader.hold(lambda _: self.sent.append(number), b""):
            self.held += 1
        else:
            self.sent.append(number)
        self.answered.append(number)


def _run(loop: Loop, threads: int) -> None:
    lane = Lane("predict", threads)
    loop.leader = Leader(loop.turn, lambda: None, lane, Together())
    stopping = threading.Event()
    main = threading.Thread(target=loop.leader.run, args=(stopping.is_set, lambda: True, lambda: None))
    main.start()
    eventually(lambda: len(loop.answered) >= loop._tasks)
    stopping.set()
    main.join(20)
    lane.finish(20)
    assert not main.is_alive()


def test_one_thread_at_a_time_runs_the_loop() -> None:
    loop = Loop(turns=STEAL_AFTER * 1.5, tasks=15, slow_every=3)
    _run(loop, threads=3)
    assert loop.overlaps == 0
    assert len(loop.threads) > 1, "no predictor thread ever led: the test shows nothing"


def test_held_responses_leave_in_order_before_the_next_turn() -> None:
    loop = Loop(turns=0.0, tasks=1000, slow_every=0)
    _run(loop, threads=1)
    assert loop.held > 100, "hardly a response was held: the test shows nothing"
    assert loop.begun_too_early == 0
    assert loop.sent == sorted(loop.sent)
    assert loop.sent == loop.answered


def test_no_response_is_lost_when_the_loop_is_taken_from_its_leader() -> None:
    loop = Loop(turns=0.0, tasks=5 * CALM, slow_every=CALM + 17)
    _run(loop, threads=3)
    assert loop.held > 10, "hardly a response was held: the test shows nothing"
    eventually(lambda: sorted(loop.sent) == list(range(1, 5 * CALM + 1)))
    assert loop.overlaps == 0


def test_responses_do_not_wait_for_what_comes_after_them() -> None:
    """post_predict is such a job: it may take its time."""
    sent: list[bytes] = []
    order: list[Any] = []
    lane = Lane("predict", 1)
    leader = Leader(lambda seconds: time.sleep(0.001), lambda: None, lane, Together())
    stopping, done = threading.Event(), threading.Event()
    main = threading.Thread(target=leader.run, args=(stopping.is_set, lambda: True, lambda: None))
    main.start()

    def answer() -> None:
        for _ in range(CALM):
            leader.measured(0.0)
        order.append(leader.hold(sent.append, b"response"))
        leader.put(Job(after))

    def after() -> None:
        order.append(list(sent))
        done.set()

    def ask() -> None:
        task = Job(answer)
        lane.put(task)

    eventually(lambda: leader._stint is not None)
    ask()
    assert done.wait(20)
    stopping.set()
    main.join(20)
    lane.finish(20)
    assert order == [True, [b"response"]]


def test_answers_stay_in_the_order_of_pipelined_requests(serve: Serve) -> None:
    """Also those of which one leaves at once (HEAD, a closed connection) and others wait."""
    replica = serve(
        """
        import time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                time.sleep(payload.get("sleep", 0))
                return payload["n"]
        """
    )
    host, port = replica.address.removeprefix("http://").split(":")
    chooser = random.Random(5)
    failures: list[str] = []
    answered: list[int] = []

    def ask(connection: socket.socket, numbers: list[int]) -> None:
        texts, expected = [], []
        for n in numbers:
            slow = chooser.random() < 0.005
            body = b'{"n": %d, "sleep": %s}' % (n, b"0.05" if slow else b"0")
            head = chooser.random() < 0.1
            texts.append(
                b"HEAD /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n
                if head
                else b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            expected.append(None if head else n)
        connection.sendall(b"".join(texts))
        reader = connection.makefile("rb")
        for wanted in expected:
            status = reader.readline()
            headers = dict(line.split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
            body = b"" if wanted is None else reader.read(int(headers[b"Content-Length"]))
            if not status.startswith(b"HTTP/1.1 200") or (wanted is not None and body != b"%d" % wanted):
                failures.append(f"{status!r} {body!r} instead of {wanted}")

    def client(number: int) -> None:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            for turn in range(150):
                first = number * 10_000 + turn * 10
                ask(connection, list(range(first, first + random.randint(1, 5))))
                answered.append(first)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(60)
        assert not thread.is_alive()
    assert failures == []
    assert len(answered) == 8 * 150, "a client gave up"
