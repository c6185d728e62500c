"""Tells what a replica does that takes long to become ready, and ends one that takes longer than it may.

After 15 seconds, and then at growing intervals, each worker that is not ready is asked which line it is at; the answer
goes into the log, with the worker's last line of output. A worker that does not answer is held by C code. The time that
a replica may take is ``predictor.startup_timeout``; the platform counts health checks a little later only, so that the
replica itself says why it ends (docs/decisions/0063).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from cortex_serving.contract import LOADING_EVENT
from cortex_serving.replica.worker_process import WorkerProcess
from cortex_serving.shared_state import Board, State

FIRST_REPORT = 15.0  # seconds after the start
LONGEST_PAUSE = 240.0  # seconds between two reports, which begin as often as the time has doubled
ANSWERS_WITHIN = 2.0  # seconds; a worker's thread for orders waits for nothing but Python's lock
HELD = "C code that holds Python's lock (an import, or a call of a library)"
_LONGEST_OUTPUT = 200
_STARTING = (State.STARTING, State.WARMING)
_OF_PEOPLE = b'"source":"'  # lines that a program has printed or logged have it; metrics do not


class StartWatch:
    """Watches the first start of a replica.

    Args:
        board: The replica's shared memory.
        limit: Seconds that the replica may take to become ready.
        log: Logs a message with fields.
    """

    def __init__(self, board: Board, limit: float, log: Callable[..., None]) -> None:
        self._board = board
        self._limit = limit
        self._log = log
        self._began = time.monotonic()
        self._next = FIRST_REPORT
        self._asked_at: float | None = None
        self._places: dict[int, str] = {}
        self._output: dict[int, bytes] = {}
        self._over = False

    def look(self, workers: Iterable[WorkerProcess], *, fetching: bool) -> str | None:
        """Report if it is time to.

        Args:
            workers: The replica's workers.
            fetching: Whether the project is still being fetched.

        Returns:
            Why the replica must end; None where it may go on.
        """
        if self._over or self._board.state not in _STARTING:
            self._over = True
            return None
        passed, due = time.monotonic() - self._began, min(self._next, self._limit)
        if passed < due:
            return None
        if self._asked_at is None:
            self._asked_at = passed
            self._places.clear()
            for worker in workers:
                worker.order(do="where")
        if len(self._places) < self._board.workers and passed < self._asked_at + ANSWERS_WITHIN:
            return None
        self._asked_at = None
        self._next = due + min(due, LONGEST_PAUSE)
        doing = self._doing(fetching=fetching)
        if due >= self._limit:
            return (
                f"the replica has not become ready within {self._limit:g} s (predictor.startup_timeout): "
                f"{'; '.join(doing)}"
            )
        for text in doing:
            self._log("INFO", f"still {self._verb(fetching=fetching)} after {due:.0f} s: {text}", event=LOADING_EVENT)
        return None

    def heard(self, index: int, place: str) -> None:
        """Note at which line a worker is."""
        self._places[index] = place

    def keep(self, index: int, lines: Sequence[bytes]) -> None:
        """Note the last line of output of a worker, while the replica starts."""
        if not self._over:
            last = next((line for line in reversed(lines) if _OF_PEOPLE in line), None)
            if last is not None:
                self._output[index] = last

    def _verb(self, *, fetching: bool) -> str:
        if fetching:
            return "fetching"
        return "loading" if self._board.state is State.STARTING else "warming up"

    def _doing(self, *, fetching: bool) -> list[str]:
        """What each worker that is not ready does."""
        if fetching:
            return ["the project's files have not come yet"]
        late = [index for index, slot in enumerate(self._board.slots()) if slot.state is not State.READY]
        named = self._board.workers > 1
        return [
            (f"worker {index} at " if named else "") + self._places.get(index, HELD) + self._last_output(index)
            for index in late
        ]

    def _last_output(self, index: int) -> str:
        with suppress(ValueError, KeyError, IndexError):
            said = str(json.loads(self._output[index])["message"]).strip().splitlines()[-1]
            return f" (last output: {said[:_LONGEST_OUTPUT]})"
        return ""
