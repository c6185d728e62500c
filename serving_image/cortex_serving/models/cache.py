"""Loaded models, least recently used out first."""

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
KEPT_STATES = 2  # of a changed model's files on disk: the one that is served and the one before


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and the state of its files when it was loaded."""

    value: Any
    fingerprint: str


class _Turn:
    """The lock of a model that is being loaded, how many hold it or wait for it, and how the last load failed.

    It may be taken again by its holder: a ``load_model`` that asks for its own model then fails instead of waiting for
    itself.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.wanted = 0
        self.loads = 0  # that have ended
        self.failure: tuple[str, BaseException] | None = None  # state of the files, and the error

    def load(self, state: str, load: Callable[[], Loaded]) -> Loaded:
        """Load, and remember a failure for those who wait."""
        self.failure = None
        try:
            return load()
        except BaseException as error:
            self.failure = state, error
            raise
        finally:
            self.loads += 1

    def failed_since(self, loads: int, state: str) -> BaseException | None:
        """The error of the last load, if it was of these files, and ended after so many others."""
        return self.failure[1] if self.failure and self.loads > loads and self.failure[0] == state else None


class ModelCache:
    """Models in memory and, if they came from elsewhere, on disk.

    A model is loaded by one thread at a time, while others that want it wait and those that want another one do not.
    Something is evicted only after a load has succeeded; so a failing load costs nothing, and memory may for a moment
    hold as many models more than ``size`` as there are threads that load. A request keeps the model that it holds.

    Args:
        load: Makes a model from its files.
        folder: Where fetched files are kept.
        size: Models in memory; None keeps all.
        disk_size: Fetched models on disk; None keeps all.
        counters: Where loads and evictions are counted.
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
        self._loading: dict[Key, _Turn] = {}  # of models that somebody loads or waits for

    def get(self, files: ModelFiles) -> Any:
        """The model; loaded if it is not in memory. Raises what loading raises.

        Those who wait while a load fails share its failure: where loads take long to fail, as without a network, they
        would otherwise wait for one after the other.
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
        """Load a model whose files have changed; until that has succeeded the old one stays in service."""
        with self._turn(files.key) as (turn, _):
            if self.fingerprint(files.key) != files.fingerprint:  # a request may have loaded it meanwhile
                turn.load(files.fingerprint, partial(self._load_now, files))

    def fingerprint(self, key: Key) -> str | None:
        """State of the files that a model in memory was loaded from; None if it is not in memory."""
        with self._lock:
            loaded = self._loaded.get(key)
        return None if loaded is None else loaded.fingerprint

    def drop(self, key: Key) -> None:
        """Forget a model that no longer exists. Its files go with the next load: a request may still read them."""
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
        """Be the only one that loads this model, and hear how many loads had ended when the waiting began.

        While anybody waits for it, its files stay on disk.
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
                if (key, evicted.fingerprint) in self._on_disk:  # it was in use until now
                    self._on_disk.move_to_end((key, evicted.fingerprint))
            doomed = self._disk_evictions(files, path)
        for folder in doomed:
            shutil.rmtree(folder, ignore_errors=True)
        return loaded

    def _disk_evictions(self, files: ModelFiles, path: Path) -> list[Path]:
        """Fetched folders that are too many, moved out of the way at once: nobody may find half of one.

        Those of models in memory or being loaded stay, as some are read lazily. Of a model that has changed the state
        before stays, too: a request or another process may still read it.
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
    """The folder under a name that nobody looks for; None if it is gone already (another process was faster)."""
    away = folder.with_name(f".old-{os.urandom(8).hex()}")
    try:
        return folder.rename(away)
    except OSError:
        return None
