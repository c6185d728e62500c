"""Whatever threads do, exactly one of them runs the server's loop."""

from __future__ import annotations

import threading
import time

from conftest import eventually

from cortex_serving.dispatcher import Job, Lane
from cortex_serving.http.leader import STEAL_AFTER, Leader


class Loop:
    """Stands in for the server's loop: its turns are longer than an answer may take, and must never overlap."""

    def __init__(self) -> None:
        self.leader: Leader
        self.threads: set[int] = set()
        self.overlaps = 0
        self.answered = 0
        self._inside = 0

    def turn(self, seconds: float) -> None:
        self._inside += 1
        self.overlaps += self._inside > 1
        self.threads.add(threading.get_ident())
        time.sleep(STEAL_AFTER * 1.5)
        self._inside -= 1
        if self.answered < 15:
            self.leader.put(Job(self._answer))

    def _answer(self) -> None:
        self.answered += 1
        if self.answered % 3 == 0:
            time.sleep(STEAL_AFTER * 20)  # long enough for another thread to lead meanwhile
        self.leader.measured(0.0)


def test_one_thread_at_a_time_runs_the_loop():
    loop = Loop()
    lane = Lane("predict", 3)
    loop.leader = Leader(loop.turn, lambda: None, lane)
    stopping = threading.Event()
    main = threading.Thread(target=loop.leader.run, args=(stopping.is_set, lambda: True, lambda: None))
    main.start()
    eventually(lambda: loop.answered >= 15)
    stopping.set()
    main.join(20)
    lane.finish(20)
    assert not main.is_alive()
    assert loop.overlaps == 0
    assert len(loop.threads) > 1, "no predictor thread ever led: the test shows nothing"
