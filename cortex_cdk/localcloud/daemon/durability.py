"""Keeps the state over restarts: when a snapshot is written, and how it is brought back.

A snapshot is written shortly after something has changed, and at once when a stack operation ends, before
anybody can see that it has ended. So ``kill -9`` loses at most the last fraction of a second of single
requests, never the outcome of a deployment.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from cortex_cdk.localcloud.daemon.storage import snapshot
from cortex_cdk.localcloud.daemon.storage.bodies import Bodies, write_durably
from cortex_cdk.localcloud.state_lock import STATE_LOCK

SNAPSHOT_FILE = "state.snapshot"
BODIES_FOLDER = "objects"
DEBOUNCE = 0.5
"""Seconds from a change to the snapshot; changes meanwhile share it."""
INTERVAL = 5.0
"""Seconds between snapshots of what changes by itself: counts of the scheduler, logs, metrics."""

log = logging.getLogger("cortex.local.durability")


class Durability:
    """The stored state of one local cloud.

    Args:
        folder: The state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SNAPSHOT_FILE
        self._bodies = Bodies(folder / BODIES_FOLDER)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._written = b""
        self._thread = threading.Thread(target=self._keep_saving, name="durability", daemon=True)

    def restore(self) -> str | None:
        """Bring the last state back, to be called before anything is used.

        Returns:
            None, or what the user must know: the stored state cannot be read and was moved aside.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            with STATE_LOCK:
                snapshot.restore(content, self._bodies)
        except snapshot.UnreadableError as error:
            return self._move_aside(str(error))
        self._written = content
        return None

    def start(self) -> None:
        """Begin to write snapshots."""
        self._thread.start()

    def stop(self) -> None:
        """Write the last snapshot."""
        self._stopping.set()
        self._changed.set()
        self._thread.join()
        self.save()

    def touch(self) -> None:
        """Note that something may have changed."""
        self._changed.set()

    def save(self) -> None:
        """Write a snapshot now, unless nothing has changed."""
        with STATE_LOCK:
            taken = snapshot.take(self._bodies)
            if taken.content == self._written:
                return
            # Written with the lock held: a later snapshot must not be overtaken by an earlier one.
            write_durably(self._path, taken.content)
            self._written = taken.content
            self._bodies.keep_only(taken.bodies)

    def save_if_possible(self) -> None:
        """Write a snapshot now; a failure is logged, and tried again with the next regular one."""
        try:
            self.save()
        except Exception:
            # Without this the state would silently stop being stored, or a full disk would fail a stack operation.
            log.exception("cannot store the state")

    def _keep_saving(self) -> None:
        while not self._stopping.is_set():
            if self._changed.wait(INTERVAL):
                self._stopping.wait(DEBOUNCE)
                self._changed.clear()
            self.save_if_possible()

    def _move_aside(self, reason: str) -> str:
        aside = self._path.with_name(f"{self._path.name}.{time.strftime('%Y%m%d-%H%M%S')}.unreadable")
        self._path.replace(aside)
        bodies = self._path.parent / BODIES_FOLDER
        if bodies.is_dir():
            bodies.replace(aside.with_name(f"{aside.name}.objects"))
        message = f"The stored state cannot be read: {reason}. It was moved to {aside}; the local cloud starts empty."
        log.error("%s", message)
        return message
