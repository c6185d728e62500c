"""Has waitress measure how long connections wait by a clock that nobody sets.

waitress compares moments of the machine's clock. Where that is set, by hand or by NTP, connections in the middle of a
request or an answer would be cut off, or never.
"""

from __future__ import annotations

import time
from typing import Any

import waitress.channel
import waitress.server


class _Steady:
    """What these two modules of waitress need of ``time``: nothing of theirs tells somebody what time it is."""

    time = staticmethod(time.monotonic)


def install() -> None:
    """Give waitress the other clock. More calls change nothing."""
    modules: tuple[Any, ...] = (waitress.channel, waitress.server)
    for module in modules:
        module.time = _Steady
