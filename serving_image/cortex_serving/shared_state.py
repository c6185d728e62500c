"""A few bytes of memory that the supervisor and its workers share: the board.

The supervisor writes the replica's state and its reason; each worker writes its own slot only. All values are aligned
32-bit words, which the processors we run on write and read whole, so that reading needs no lock. Only to admit a
request to a limit that all workers share, workers take a lock, which the system takes back from a process that dies
with it.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Any

REASON_BYTES = 1024
_STATE, _REASON_LENGTH, _RESTARTS = 0, 1, 2
_HEADER_WORDS = 16
_SLOT_WORDS = 16
_SLOT_STATE, _SLOT_IN_FLIGHT, _SLOT_REQUESTS, _SLOT_RECEIVING, _SLOT_PULSE = 0, 1, 2, 3, 4
_MASK = 0xFFFFFFFF


class State(enum.IntEnum):
    """Life cycle of a replica and of each of its workers."""

    STARTING = 0
    WARMING = 1
    READY = 2
    DRAINING = 3
    FAILED = 4


_READY = int(State.READY)


class Board:
    """Shared memory of one replica.

    Args:
        descriptor: File descriptor of the memory (made by ``create``, inherited by workers).
        workers: Number of worker processes.
    """

    def __init__(self, descriptor: int, workers: int) -> None:
        self.descriptor = descriptor
        self.workers = workers
        self._memory = mmap.mmap(descriptor, self.size(workers))
        self._words = memoryview(self._memory)[: self.size(workers) - REASON_BYTES].cast("I")
        self._reason_at = self.size(workers) - REASON_BYTES

    @staticmethod
    def size(workers: int) -> int:
        """Bytes of memory for that many workers."""
        return (_HEADER_WORDS + workers * _SLOT_WORDS) * 4 + REASON_BYTES

    @classmethod
    def create(cls, workers: int) -> Board:
        """A new board in an unnamed file (in memory where the system offers that)."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("cortex-board")
        else:  # macOS
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, cls.size(workers))
        return cls(descriptor, workers)

    @property
    def state(self) -> State:
        """State of the replica."""
        return State(self._words[_STATE])

    @property
    def reason(self) -> str:
        """Why the replica is in its state: one line for people."""
        end = self._reason_at + self._words[_REASON_LENGTH]
        return self._memory[self._reason_at : end].decode("utf-8", "replace")

    def set_state(self, state: State, reason: str) -> None:
        """Write the replica's state (supervisor only).

        Args:
            state: The state.
            reason: Why, in one line for people; cut at ``REASON_BYTES``.
        """
        encoded = reason.encode("utf-8", "backslashreplace")[:REASON_BYTES]
        self._words[_REASON_LENGTH] = 0
        self._memory[self._reason_at : self._reason_at + len(encoded)] = encoded
        self._words[_REASON_LENGTH] = len(encoded)
        self._words[_STATE] = state

    @property
    def restarts(self) -> int:
        """How many workers died and were replaced."""
        return self._words[_RESTARTS]

    def count_restart(self) -> None:
        """Count a replaced worker (supervisor only)."""
        self._words[_RESTARTS] += 1

    def slot(self, index: int) -> Slot:
        """The words of one worker."""
        start = _HEADER_WORDS + index * _SLOT_WORDS
        return Slot(self._words[start : start + _SLOT_WORDS])

    def slots(self) -> list[Slot]:
        """The words of every worker."""
        return [self.slot(index) for index in range(self.workers)]

    @property
    def in_flight(self) -> int:
        """Requests being worked on or queued, in all workers."""
        first = _HEADER_WORDS + _SLOT_IN_FLIGHT
        return sum(self._words[first::_SLOT_WORDS])

    def health(self, *, live: bool) -> tuple[bool, dict[str, Any]]:
        """Return the answer to a health probe.

        Args:
            live: Whether the replica lives is asked, rather than whether it is ready.

        Returns:
            Whether it does, and the JSON that says why.
        """
        state = self.state
        return (state is not State.FAILED) if live else (state is State.READY), {
            "state": state.name.lower(),
            "reason": self.reason,
            "workers": [slot.state.name.lower() for slot in self.slots()],
            "restarts": self.restarts,
            "in_flight": self.in_flight,
        }

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Keep the other processes from counting a request in; threads of one process need a lock of their own."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)


class Slot:
    """One worker's words on the board.

    Args:
        words: The words.
    """

    __slots__ = ("_words",)

    def __init__(self, words: memoryview) -> None:
        self._words = words

    @property
    def state(self) -> State:
        """State of the worker."""
        return State(self._words[_SLOT_STATE])

    @state.setter
    def state(self, state: State) -> None:
        self._words[_SLOT_STATE] = state

    @property
    def ready(self) -> bool:
        """Whether the worker's state is ready (asked for every request: cheaper than its state)."""
        return bool(self._words[_SLOT_STATE] == _READY)

    @property
    def in_flight(self) -> int:
        """Requests being worked on or queued in this worker."""
        return int(self._words[_SLOT_IN_FLIGHT])

    def enter(self, room: int) -> bool:
        """Count a request in, if there is room for it (the caller holds the worker's lock).

        Args:
            room: How many requests may be in flight in this worker.
        """
        words = self._words
        count = words[_SLOT_IN_FLIGHT]
        if count >= room:
            return False
        words[_SLOT_IN_FLIGHT] = count + 1
        words[_SLOT_REQUESTS] = (words[_SLOT_REQUESTS] + 1) & _MASK
        return True

    def leave(self) -> None:
        """Count a request out (the caller holds the worker's lock)."""
        self._words[_SLOT_IN_FLIGHT] -= 1

    @property
    def receiving(self) -> int:
        """Requests whose first part has come to this worker, but not yet all of it."""
        return int(self._words[_SLOT_RECEIVING])

    @receiving.setter
    def receiving(self, count: int) -> None:
        self._words[_SLOT_RECEIVING] = count

    @property
    def load(self) -> int:
        """Requests that keep this worker busy, or are about to."""
        return int(self._words[_SLOT_IN_FLIGHT] + self._words[_SLOT_RECEIVING])

    @property
    def requests(self) -> int:
        """Requests ever received by this worker (wraps at 2**32)."""
        return int(self._words[_SLOT_REQUESTS])

    @property
    def pulse(self) -> int:
        """A number that changes while the worker's interpreter runs: C code may hold it for long."""
        return int(self._words[_SLOT_PULSE])

    def beat(self) -> None:
        """Show that this worker's interpreter runs."""
        self._words[_SLOT_PULSE] = (self._words[_SLOT_PULSE] + 1) & _MASK

    def detach(self) -> None:
        """Go on with a copy that nobody shares: a forked child of the worker must not count for it."""
        self._words = memoryview(bytearray(self._words)).cast("I")

    def clear(self) -> None:
        """Forget a worker that has died (its count of requests stays: it only ever grows)."""
        self.state = State.STARTING
        self._words[_SLOT_IN_FLIGHT] = 0
        self.receiving = 0
