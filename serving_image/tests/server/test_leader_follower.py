"""Whatever threads do, exactly one of them runs the server's loop, and nothing waits that ought to be sent."""

from __future__ import annotations

import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from cortex_serving.scheduling.thread_pool import Job, ThreadPool
from cortex_serving.server.event_loop import PollLoop
from cortex_serving.server.joint_writes import CALM
from cortex_serving.server.leader_follower import STEAL_AFTER, LeaderFollower
from tests.conftest import Serve, eventually


class Answer:
    """A request's task: counts as a quick answer, whose response may wait for others."""

    comes_last = False

    def __init__(self, loop: Loop, number: int) -> None:
        self._loop = loop
        self._number = number

    def service(self) -> None:
        self._loop.answer(self._number)


class Loop(PollLoop):
    """A loop without sockets: its turns must never overlap, and never begin while a response waits."""

    def __init__(self, turns: float, tasks: int, slow_every: int) -> None:
        super().__init__()
        self.leader: LeaderFollower
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

    def turn(self, timeout: float) -> None:
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
    pool = ThreadPool("predict", threads, lambda: None)
    loop.leader = LeaderFollower(loop, pool, lambda: None)
    stopping = threading.Event()
    main = threading.Thread(target=loop.leader.run, args=(stopping.is_set, lambda: True, lambda: None))
    main.start()
    eventually(lambda: len(loop.answered) >= loop._tasks)
    stopping.set()
    main.join(20)
    pool.finish(20)
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


Tracer = Callable[[FrameType, str, Any], Any]


class HeldUp:
    """Holds a thread up in one line of one method of the leader, as a busy machine may.

    Args:
        method: The method's name.
        line: Which of the lines that the thread runs in it, from 0.
        until: Ends it; else it lasts for ten times as long as the main thread waits before it takes the loop.
    """

    def __init__(self, method: str, line: int, until: Callable[[], bool]) -> None:
        self.happened = False
        self._method = method
        self._line = line
        self._until = until
        self._seen = 0

    def trace(self, frame: FrameType, event: str, _: Any) -> Tracer | None:
        """For ``sys.settrace``."""
        code = frame.f_code
        return self._trace_line if code.co_name == self._method and "leader_follower" in code.co_filename else None

    def _trace_line(self, frame: FrameType, event: str, _: Any) -> Tracer:
        if event == "line" and not self.happened:
            self._seen += 1
            if self._seen > self._line:
                self.happened = True
                deadline = time.monotonic() + 10 * STEAL_AFTER
                while not self._until() and time.monotonic() < deadline:
                    time.sleep(0.001)
        return self._trace_line


class Led(PollLoop):
    """A loop without sockets, its leader with one predictor thread, and the main thread.

    Args:
        turn: What a turn of the loop is for the predictor thread.
    """

    def __init__(self, turn: Callable[[], object] = lambda: time.sleep(0.001)) -> None:
        super().__init__()
        self.pool = ThreadPool("predict", 1, lambda: None)
        self.woken = threading.Event()
        self.leader = LeaderFollower(self, self.pool, lambda: None)
        self.main = threading.Thread(target=self._run, daemon=True)
        self.trace_main: Tracer | None = None
        self.failure: Exception | None = None
        self._turn = turn
        self._may_lead = True
        self._stopping = False

    def only_once(self) -> None:
        """No thread is asked to lead any more."""
        self._may_lead = False

    def turn(self, timeout: float) -> None:
        if threading.current_thread() is self.main:
            time.sleep(0.001)
        else:
            self._turn()

    def wake(self) -> None:
        self.woken.set()

    def _run(self) -> None:
        sys.settrace(self.trace_main)
        try:
            self.leader.run(lambda: self._stopping, lambda: self._may_lead, lambda: None)
        except Exception as error:
            self.failure = error

    def lead(self, first: Callable[[], None]) -> None:
        """Start, and have a function called by the predictor thread while it leads."""
        self.main.start()
        eventually(lambda: self.leader._term is not None)
        self.pool.put(Job(first))

    def stop(self) -> None:
        self._stopping = True
        self.woken.set()
        self.main.join(20)
        self.pool.finish(20)
        assert self.failure is None
        assert not self.main.is_alive()


def test_responses_do_not_wait_for_what_comes_after_them() -> None:
    """post_predict is such a job: it may take its time."""
    led = Led()
    sent: list[bytes] = []
    order: list[Any] = []
    done = threading.Event()

    def answer() -> None:
        for _ in range(CALM):
            led.leader.measured(0.0)
        order.append(led.leader.hold(sent.append, b"response"))
        led.leader.put(Job(after))

    def after() -> None:
        order.append(list(sent))
        done.set()

    led.lead(answer)
    assert done.wait(20)
    led.stop()
    assert order == [True, [b"response"]]


@pytest.mark.parametrize("line", range(8))
def test_a_task_is_not_forgotten_when_the_loop_is_taken_while_the_leader_puts_it(line: int) -> None:
    """As ``post_predict`` and pipelined requests are put by whoever leads."""
    led = Led()
    held = HeldUp("put", line, until=lambda: led.leader._term is None)
    done = threading.Event()

    def answer() -> None:
        led.only_once()
        sys.settrace(held.trace)
        led.leader.put(Job(done.set))
        sys.settrace(None)

    led.lead(answer)
    assert done.wait(5), "the task is forgotten"
    led.stop()


@pytest.mark.parametrize("line", range(8))
def test_a_task_does_not_wait_for_a_leader_that_began_while_it_was_put(line: int) -> None:
    polling = threading.Event()

    def turn() -> None:
        led.woken.clear()
        polling.set()
        led.woken.wait(10)

    led = Led(turn)
    held = HeldUp("put", line, until=polling.is_set)
    done = threading.Event()

    def put() -> None:
        sys.settrace(held.trace)
        led.leader.put(Job(done.set))

    putting = threading.Thread(target=put)
    putting.start()
    eventually(lambda: held.happened or not putting.is_alive())
    led.main.start()
    putting.join(20)
    assert done.wait(5), "the task waits for the next connection"
    led.stop()


@pytest.mark.parametrize("line", range(3))
@pytest.mark.parametrize("main_line", [("_end_term", 0), ("_end_term", 3), *(("_next_kept", n) for n in range(3))])
def test_the_leader_may_go_on_while_the_loop_is_taken_from_it(line: int, main_line: tuple[str, int]) -> None:
    """It has looked whether it still leads, and takes its next task while the main thread hands out what is left."""
    led = Led()
    main_held = HeldUp(*main_line, until=lambda: not led.leader._ready)
    held = HeldUp("_next_kept", line, until=lambda: main_held.happened)
    led.trace_main = main_held.trace
    done = threading.Event()

    def answer() -> None:
        led.only_once()
        led.leader.put(Job(done.set))
        sys.settrace(held.trace)

    led.lead(answer)
    assert done.wait(5), "the task is forgotten"
    eventually(lambda: led.leader._term is None)
    led.stop()


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
