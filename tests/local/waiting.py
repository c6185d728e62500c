"""Waits for what other processes do."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 240, pause: float = 0.02) -> Any:
    """Wait until a condition holds, and return its value; or fail.

    What takes long to ask, such as a command, is asked less often: waiting must not keep a processor busy.

    Args:
        condition: What is asked again and again.
        seconds: How long at most: a limit, not an expectation.
        pause: Between two questions, in seconds; at least twice what the last one took.
    """
    deadline = time.monotonic() + seconds
    asked = time.monotonic()
    while not (value := condition()):
        answered = time.monotonic()
        assert answered < deadline, f"not within {seconds:.0f} s: {condition}"
        time.sleep(max(pause, 2 * (answered - asked)))
        asked = time.monotonic()
    return value
