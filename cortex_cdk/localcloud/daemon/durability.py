"""Keeps the account over restarts and upgrades: when it is stored, and how it is brought back.

The snapshot is a cache: fast and complete, but only the version that wrote it can read it. The records are the truth.
Both are written half a second after a change, and at once when a stack operation ends, before anybody can see the end.
So ``kill -9`` loses the last fraction of a second of single requests at most, never the outcome of a deployment. Where
the snapshot cannot be read, the account is made again from the records.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.localcloud.daemon.records.account import AccountRecords, Rebuilt
from cortex_cdk.localcloud.daemon.storage import snapshot
from cortex_cdk.localcloud.daemon.storage.bodies import Bodies, write_durably
from cortex_cdk.localcloud.pace import Pace
from cortex_cdk.localcloud.state_lock import STATE_LOCK

SNAPSHOT_FILE = "state.snapshot"
RECORDS_FOLDER = "records"
BODIES_FOLDER = "objects"
ASIDE_FOLDER = "aside"
DEBOUNCE = 0.5
"""Seconds from a change until it is stored. Changes meanwhile are stored together."""
STACKS_NAMED = 10
"""How many stacks the user's message names. The log names all."""
INTERVAL = 5.0
"""Seconds between two looks for changes that come without requests: counts of the scheduler, logs, metrics.
With many APIs there are more (``Pace``)."""

log = logging.getLogger("cortex.local.durability")


@dataclass(frozen=True)
class Recovery:
    """How the account came back where the snapshot could not be read.

    Attributes:
        reason: Why the snapshot could not be read.
        rebuilt: The stacks that are back, and the problems.
        aside: The folder that keeps the old files.
    """

    reason: str
    rebuilt: Rebuilt
    aside: Path

    @property
    def news(self) -> str | None:
        """Tells which stacks are back; None where no stack is."""
        if not self.rebuilt.stacks:
            return None
        names = self.rebuilt.stacks[:STACKS_NAMED]
        more = len(self.rebuilt.stacks) - len(names)
        return (
            f"The stored snapshot could not be read ({self.reason}), so everything was made again from its records: "
            f"{', '.join(names)}{f' and {more} more' if more else ''}. The old files are kept in {self.aside}."
        )

    @property
    def losses(self) -> str | None:
        """Tells what is not back, and why; None where nothing is lost."""
        if self.rebuilt.problems:
            return (
                f"The stored snapshot could not be read ({self.reason}), and these are not back: "
                f"{'; '.join(self.rebuilt.problems)}. Deploy them again; the old files are kept in {self.aside}."
            )
        if self.rebuilt.stacks:
            return None
        return (
            f"The stored snapshot could not be read ({self.reason}), and there are no records of stacks: the local "
            f"cloud starts empty. Deploy your APIs again; the old files are kept in {self.aside}."
        )


class Durability:
    """The stored state of one local cloud.

    Args:
        folder: The state folder.

    Attributes:
        problem: Why the state cannot be stored now, for users; None where all is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / SNAPSHOT_FILE
        self._bodies = Bodies(folder / BODIES_FOLDER)
        self._records = AccountRecords(folder / RECORDS_FOLDER, self._bodies)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._written = b""
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._keep_saving, name="durability", daemon=True)

    def restore(self) -> Recovery | None:
        """Bring the last state back. Call this before any back end is used.

        Returns:
            How the account came back where the snapshot could not be read, else None.
        """
        with STATE_LOCK:
            try:
                content = self._path.read_bytes()
                snapshot.restore(content, self._bodies)
            except FileNotFoundError:
                reason = "it is gone"
                if not (self._folder / RECORDS_FOLDER).is_dir():
                    return None
            except snapshot.UnreadableError as error:
                reason = str(error)
            else:
                # An earlier version may have kept no records, or other ones.
                self.save_if_possible()
                return None
            aside = self._set_aside()
            rebuilt = self._records.rebuild()
            self.save_if_possible()
        return _told(Recovery(reason, rebuilt, aside))

    def start(self) -> None:
        """Begin to store changes."""
        self._thread.start()

    def stop(self) -> None:
        """Store everything for the last time."""
        self._stopping.set()
        self._changed.set()
        self._thread.join()
        self.save()
        with STATE_LOCK:
            self._records.write(log_events=True)

    def touch(self) -> None:
        """Note that something may have changed."""
        self._changed.set()

    def save(self) -> None:
        """Store everything now, unless nothing has changed."""
        with STATE_LOCK:
            taken = snapshot.take(self._bodies)
            if taken.content == self._written:
                return
            # Written with the lock held: an earlier snapshot must not overtake a later one. The records come second: a
            # snapshot that can be read is believed, and the next start brings the records in line with it.
            write_durably(self._path, taken.content)
            recorded = self._records.write()
            self._written = taken.content
            self._bodies.keep_only(taken.bodies | recorded)

    def save_if_possible(self) -> None:
        """Store everything now. After a failure, which is logged, the next regular time tries again."""
        try:
            self.save()
        except Exception as error:
            # A full disk must not fail a stack operation, nor end the thread that stores the state.
            if self.problem is None:
                log.exception("cannot store the state")
            reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            self.problem = (
                f"the local cloud cannot store its state in {self._folder} ({reason}): what is changed now is "
                "lost when it stops"
            )
        else:
            self.problem = None

    def _keep_saving(self) -> None:
        pace = Pace(INTERVAL)
        while not self._stopping.is_set():
            if self._changed.wait(pace.pause):
                self._stopping.wait(DEBOUNCE)
                self._changed.clear()
            with pace.round():
                self.save_if_possible()

    def _set_aside(self) -> Path:
        """Keep all stored files in a folder of their own, for the version that wrote them, and for people.

        Returns:
            The folder.
        """
        aside = self._folder / ASIDE_FOLDER / time.strftime("%Y%m%d-%H%M%S")
        aside.mkdir(parents=True, mode=0o700)
        if self._path.exists():
            self._path.replace(aside / SNAPSHOT_FILE)
        for name in (RECORDS_FOLDER, BODIES_FOLDER):
            if (self._folder / name).is_dir():
                # Bodies never change, and a record is replaced by another file: links cost no room and keep their
                # content.
                shutil.copytree(self._folder / name, aside / name, copy_function=_link)
        return aside


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has hard links.
        shutil.copyfile(source, target)


def _told(recovery: Recovery) -> Recovery:
    for line in filter(None, (recovery.news, recovery.losses)):
        log.warning("%s", line)
    log.info("stacks that were made again: %s", ", ".join(recovery.rebuilt.stacks) or "none")
    return recovery
