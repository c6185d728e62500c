"""Waits for what other processes do."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 240, pause: float = 0.02) -> Any:
    """Wait until a condition holds, and return its value; or fail.

    Args:
        condition: What is asked again and again.
        seconds: How long at most: a limit, not an expectation.
        pause: Between two questions, in seconds.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {condition}"
        time.sleep(pause)
    return value
