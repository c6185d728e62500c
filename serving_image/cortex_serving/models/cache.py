"""Keeps loaded models, and evicts the least recently used."""

from __future__ import annotations

import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.catalog import ModelFiles

Load = Callable[[Path, ModelFiles], Any]
"""Makes a model from its folder or file."""

Key = tuple[str, str]
KEPT_STATES = 2  # states of a changed model's files that stay on disk: the served one and the one before


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and the state of its files when it was loaded."""

    value: Any
    fingerprint: str


class _Turn:
    """The lock of a model that is being loaded, its holders and waiters, and the failure of the last load.

    The holder may take the lock again: a ``load_model`` that asks for its own model fails, and does not wait for
    itself.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.wanted = 0
        self.loads = 0  # ended loads
        self.failure: tuple[str, BaseException] | None = None  # fingerprint of the files, and the error

    def load(self, state: str, load: Callable[[], Loaded]) -> Loaded:
        """Load a model, and remember a failure for the threads that wait.

        Args:
            state: Fingerprint of the model's files.
            load: Loads it.
        """
        self.failure = None
        try:
            return load()
        except BaseException as error:
            self.failure = state, error
            raise
        finally:
            self.loads += 1

    def failed_since(self, loads: int, state: str) -> BaseException | None:
        """Return the error of the last load of these files; None without one since so many loads had ended."""
        return self.failure[1] if self.failure and self.loads > loads and self.failure[0] == state else None


class ModelCache:
    """Keeps models in memory, and the files of fetched models on disk.

    One thread at a time loads a model. Threads that want the same model wait, other threads do not. Models are evicted
    only after a load has succeeded, so that a failing load costs nothing; for a moment, memory may hold one model above
    ``size`` for each thread that loads. A request keeps the model that it holds.

    Args:
        load: Makes a model from its files.
        folder: Folder for fetched files.
        size: Most models in memory; None keeps all.
        disk_size: Most fetched models on disk; None keeps all.
        counters: Counts loads and evictions.
    """

    def __init__(
        self, load: Load, folder: Path, *, size: int | None, disk_size: int | None, counters: Counters
    ) -> None:
        self._load = load
        self._folder = folder
        self._size = size
        self._disk_size = disk_size
        self._counters = counters
        self._lock = threading.Lock()
        self._loaded: OrderedDict[Key, Loaded] = OrderedDict()
        self._on_disk: OrderedDict[tuple[Key, str], Path] = OrderedDict()
        self._gone: set[Key] = set()
        self._loading: dict[Key, _Turn] = {}  # for models that a thread loads or waits for

    def get(self, files: ModelFiles) -> Any:
        """Return a model, and load it first if it is not in memory.

        Threads that wait while a load fails share its failure. Otherwise they would wait for one load after the other,
        and without a network each takes long to fail.

        Args:
            files: The model's files, in their present state.

        Raises:
            StoreError: The files cannot be fetched.
            Exception: Whatever ``load`` raises.
        """
        found = self._find(files.key)
        if found is None:
            with self._turn(files.key) as (turn, loads):
                found = self._find(files.key)
                if found is None:
                    failure = turn.failed_since(loads, files.fingerprint)
                    if failure is not None:
                        raise failure
                    found = turn.load(files.fingerprint, partial(self._load_now, files))
        return found.value

    def replace(self, files: ModelFiles) -> None:
        """Load a model whose files have changed. The old one stays in service until the load has succeeded.

        Args:
            files: The model's files, in their new state.

        Raises:
            StoreError: The files cannot be fetched.
            Exception: Whatever ``load`` raises.
        """
        with self._turn(files.key) as (turn, _):
            if self.fingerprint(files.key) != files.fingerprint:  # a request may have loaded the model meanwhile
                turn.load(files.fingerprint, partial(self._load_now, files))

    def fingerprint(self, key: Key) -> str | None:
        """Return the fingerprint of the files that a model in memory was loaded from; None if it is not in memory."""
        with self._lock:
            loaded = self._loaded.get(key)
        return None if loaded is None else loaded.fingerprint

    def drop(self, key: Key) -> None:
        """Forget a model that no longer exists. The next load deletes its files: a request may still read them."""
        with self._lock:
            self._loaded.pop(key, None)
            self._gone.add(key)

    def _find(self, key: Key) -> Loaded | None:
        with self._lock:
            loaded = self._loaded.get(key)
            if loaded is not None:
                self._loaded.move_to_end(key)
            return loaded

    @contextmanager
    def _turn(self, key: Key) -> Iterator[tuple[_Turn, int]]:
        """Wait until no other thread loads this model. The model's files stay on disk for as long as a thread waits.

        Yields:
            The model's turn, and how many of its loads had ended when the wait began.
        """
        with self._lock:
            turn = self._loading.setdefault(key, _Turn())
            turn.wanted += 1
            loads = turn.loads
        try:
            with turn.lock:
                yield turn, loads
        finally:
            with self._lock:
                turn.wanted -= 1
                if not turn.wanted:
                    del self._loading[key]

    def _load_now(self, files: ModelFiles) -> Loaded:
        path = files.local(self._folder)
        loaded = Loaded(self._load(path, files), files.fingerprint)
        self._counters.count("ModelLoads")
        with self._lock:
            self._loaded[files.key] = loaded
            self._loaded.move_to_end(files.key)
            while self._size is not None and len(self._loaded) > self._size:
                key, evicted = self._loaded.popitem(last=False)
                self._counters.count("ModelEvictions")
                if (key, evicted.fingerprint) in self._on_disk:  # in use until now
                    self._on_disk.move_to_end((key, evicted.fingerprint))
            doomed = self._disk_evictions(files, path)
        for folder in doomed:
            shutil.rmtree(folder, ignore_errors=True)
        return loaded

    def _disk_evictions(self, files: ModelFiles, path: Path) -> list[Path]:
        """Move surplus folders of fetched models out of the way, so that no process finds half of one; return them.

        The folders of models in memory or being loaded stay, as some are read lazily. So does the state of a changed
        model before its present one: a request or another process may still read it.
        """
        if self._folder not in path.parents:
            return []
        newest = (files.key, files.fingerprint)
        self._on_disk[newest] = self._folder / files.name / f"{files.version}-{files.fingerprint}"
        self._on_disk.move_to_end(newest)
        self._gone.discard(files.key)
        states = [name for name in self._on_disk if name[0] == files.key]
        idle = [name for name in self._on_disk if name[0] not in self._loaded and name[0] not in self._loading]
        doomed = states[:-KEPT_STATES] + [name for name in idle if name[0] in self._gone]
        excess = 0 if self._disk_size is None else len(self._on_disk) - len(doomed) - self._disk_size
        doomed += [name for name in idle if name not in doomed][: max(excess, 0)]
        self._gone.clear()
        return [moved for name in doomed if (moved := _moved_away(self._on_disk.pop(name))) is not None]


def _moved_away(folder: Path) -> Path | None:
    """Rename a folder to a name that no process looks for; None if another process has moved the folder."""
    away = folder.with_name(f".old-{os.urandom(8).hex()}")
    try:
        return folder.rename(away)
    except OSError:
        return None
