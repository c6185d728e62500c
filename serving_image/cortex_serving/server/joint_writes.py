"""Responses of one turn of the event loop leave together.

Sending wakes the client's side, which costs more than all the rest of sending, and more for each response than for many
at once. So a response waits for those that follow in the same turn, for at most ``HOLD`` and one more answer, and only
while all answers are quick.

Who runs the loop must see to two things: nothing is received while a response waits, so that a later response of the
same connection cannot overtake it; and one thread at a time works with this.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

QUICK = 0.001  # seconds that an answer may take to count as quick
HOLD = 0.001  # seconds for which a response waits for others, at most
CALM = 100  # so many answers in a row must have been quick before any response waits

Send = Callable[[bytes], object]


class JointWrites:
    """Responses that wait, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Send, bytes]] = deque()
        self._since = 0.0
        self._quick_ones = 0

    def measured(self, seconds: float) -> None:
        """Note how long an answer took."""
        self._quick_ones = self._quick_ones + 1 if seconds < QUICK else 0

    def is_calm(self) -> bool:
        """Whether answers have been quick for long enough for a response to wait."""
        return self._quick_ones >= CALM

    def keep(self, send: Send, data: bytes) -> None:
        """Have a response wait.

        Args:
            send: Sends the response.
            data: The response.
        """
        if not self._waiting:
            self._since = time.perf_counter()
        self._waiting.append((send, data))

    def is_due(self, now: float, comes_last: bool) -> bool:
        """Whether responses must leave before the next task begins.

        Args:
            now: ``time.perf_counter``.
            comes_last: Whether the task is one that no response shall wait for.
        """
        return bool(self._waiting) and (comes_last or now - self._since > HOLD)

    def send(self) -> None:
        """Send what waits."""
        while self._waiting:
            send, data = self._waiting.popleft()
            try:
                send(data)
            except Exception:
                logger.exception("unexpected error while sending")
