"""How often to ask a service that is still busy."""

from __future__ import annotations

from collections.abc import Iterator

FIRST = 0.1
LONGEST = 3.0
GROWTH = 1.12


def pauses() -> Iterator[float]:
    """Yield the pauses between two questions, in seconds, without end.

    Short at first (0.1 s), so that a quick answer is seen at once; longer later (3 s), so that many deployments
    together stay below the services' request rates.
    """
    pause = FIRST
    while True:
        yield pause
        pause = min(LONGEST, pause * GROWTH)
