"""Keeps what is looked at again and again from taking more than a share of a core, however much there is to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.01
LONGEST = 4
"""How many times the shortest pause the longest one is. A round that did much, not only looked, must not make the next
one late."""


class Pace:
    """The pause between two rounds of a thread that nothing has woken.

    Args:
        shortest: Seconds of the pause that are enough while a round costs little.

    Attributes:
        pause: Seconds from the end of the last round to the next one: so many that rounds take 1 % of a core, but
            at most four times the shortest.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self.pause = shortest

    @contextmanager
    def round(self) -> Iterator[None]:
        """Measure the round that is done inside. Only the thread's own time counts, not that of a busy machine."""
        began = time.thread_time()
        try:
            yield
        finally:
            wanted = (time.thread_time() - began) / SHARE
            self.pause = min(max(self._shortest, wanted), LONGEST * self._shortest)
