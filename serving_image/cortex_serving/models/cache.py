"""Loaded models, least recently used out first."""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.catalog import ModelFiles

Load = Callable[[Path, ModelFiles], Any]
"""Makes a model from its folder or file."""

Key = tuple[str, str]


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and the state of its files when it was loaded."""

    value: Any
    fingerprint: str


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
        self._loading: dict[Key, threading.Lock] = {}

    def get(self, files: ModelFiles) -> Any:
        """The model; loaded if it is not in memory. Raises what loading raises."""
        found = self._find(files.key)
        if found is None:
            with self._loading_lock(files.key):
                found = self._find(files.key)
                if found is None:
                    found = self._load_now(files)
        return found.value

    def replace(self, files: ModelFiles) -> None:
        """Load a model whose files have changed; until that has succeeded the old one stays in service."""
        with self._loading_lock(files.key):
            self._load_now(files)

    def fingerprint(self, key: Key) -> str | None:
        """State of the files that a model in memory was loaded from; None if it is not in memory."""
        with self._lock:
            loaded = self._loaded.get(key)
        return None if loaded is None else loaded.fingerprint

    def drop(self, key: Key) -> None:
        """Forget a model that no longer exists."""
        with self._lock:
            self._loaded.pop(key, None)

    def _find(self, key: Key) -> Loaded | None:
        with self._lock:
            loaded = self._loaded.get(key)
            if loaded is not None:
                self._loaded.move_to_end(key)
            return loaded

    def _loading_lock(self, key: Key) -> threading.Lock:
        with self._lock:
            return self._loading.setdefault(key, threading.Lock())

    def _load_now(self, files: ModelFiles) -> Loaded:
        path = files.local(self._folder)
        loaded = Loaded(self._load(path, files), files.fingerprint)
        self._counters.count("ModelLoads")
        with self._lock:
            self._loaded[files.key] = loaded
            self._loaded.move_to_end(files.key)
            while self._size is not None and len(self._loaded) > self._size:
                self._loaded.popitem(last=False)
                self._counters.count("ModelEvictions")
            doomed = self._disk_evictions(files, path)
        for folder in doomed:
            shutil.rmtree(folder, ignore_errors=True)
        return loaded

    def _disk_evictions(self, files: ModelFiles, path: Path) -> list[Path]:
        """Fetched folders that are too many; those of models in memory or being loaded stay, some are read lazily."""
        if self._folder not in path.parents:
            return []
        name = (files.key, files.fingerprint)
        self._on_disk[name] = self._folder / files.name / f"{files.version}-{files.fingerprint}"
        self._on_disk.move_to_end(name)
        excess = 0 if self._disk_size is None else len(self._on_disk) - self._disk_size
        doomed = []
        for key, fingerprint in list(self._on_disk):
            lock = self._loading.get(key)
            busy = key in self._loaded or (lock is not None and lock.locked())
            if excess > 0 and not busy:
                doomed.append(self._on_disk.pop((key, fingerprint)))
                excess -= 1
        return doomed
