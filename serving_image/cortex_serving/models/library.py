"""Finds and loads the models of one process, and follows their changes."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

from cortex_serving.contract import Variable
from cortex_serving.errors import ServingError
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.cache import Load, ModelCache
from cortex_serving.models.catalog import Catalog, ModelFiles, label, places, title
from cortex_serving.models.requested_model import LATEST, resolve
from cortex_serving.models.stores import FilesGone, StoreError, one_line
from cortex_serving.spec import Models

logger = logging.getLogger(__name__)

RELOAD_SECONDS = 10.0  # between two looks for changed models, as in Cortex (cortex.md 2.3)


class Library:
    """The models that a specification names.

    Without ``cache_size``, every model is loaded at the start, and a changed model as soon as the change is seen. With
    ``cache_size``, a model is loaded when it is first asked for. A changed model that is not in memory counts once two
    looks have found it the same, as its files may arrive one by one. If the latest version has arrived since the start
    and cannot be loaded, or is gone, the version before is served.

    Args:
        models: The section of the specification.
        project: The project folder.
        folder: Folder for fetched models.
        load: Makes a model from its files.
        counters: Counts loads and evictions.

    Attributes:
        models: The section.
        counters: The counters, for clients that count more.
    """

    def __init__(self, models: Models, project: Path, folder: Path, load: Load, counters: Counters) -> None:
        self.models = models
        self.counters = counters
        self._places = places(models, project)
        self._on_demand = models.cache_size is not None
        self._load_model = load
        self._cache = ModelCache(
            self._load, folder, size=models.cache_size, disk_size=models.disk_cache_size, counters=counters
        )
        self._catalog: Catalog = {}  # replaced as a whole, because requests read it meanwhile
        self._publishing = threading.Lock()
        self._untried: set[tuple[str, str]] = set()  # versions that arrived since the start and were never loaded
        self._seen: dict[tuple[str, str], str] = {}  # fingerprints of changed models that are loaded on demand
        self._told: dict[Hashable, str] = {}  # the last complaint about a place or model, so that each is logged once

    def find(self) -> None:
        """Find the models. From here on, ``get`` may be called.

        Raises:
            StoreError: A place cannot be listed, or there is no model where the specification names one.
        """
        catalog: dict[str, Mapping[str, ModelFiles]] = {}
        for place in self._places:
            found = place.models()
            if not found and place.name is not None:
                raise StoreError(f"there is no model at {place.location}")
            if not found:
                logger.warning("there is no model in %s yet", place.location)
            catalog.update(found)
        self._catalog = catalog

    def start(self, reload_seconds: float = RELOAD_SECONDS) -> None:
        """Load the models that were found, unless models are loaded on demand, and begin to follow changes.

        Args:
            reload_seconds: Seconds between two looks for changes.

        Raises:
            StoreError: Models cannot be fetched.
            Exception: Whatever loading a model raises.
        """
        if not self._on_demand:
            for versions in self._catalog.values():
                for files in versions.values():
                    self._cache.get(files)
        follow = threading.Thread(target=self._follow, args=(reload_seconds,), name="models", daemon=True)
        follow.start()

    def get(self, name: str | None, version: str | int | None = LATEST) -> Any:
        """Return a model, and load it first if need be.

        Args:
            name: Model; None means the only one.
            version: A number; None and ``latest`` mean the highest.

        Raises:
            UnknownModel: There is no model of that name or version.
            AmbiguousModel: No name was given, and there are several models.
            StoreError: The model cannot be fetched.
            Exception: Whatever loading the model raises.
        """
        while True:
            files = resolve(self._catalog, name, version)
            try:
                return self._cache.get(files)
            except (Exception, SystemExit) as error:
                if version not in (None, LATEST) or not self._has_a_better(files, error):
                    raise
                self._withdraw(files, error)

    def _has_a_better(self, files: ModelFiles, error: BaseException) -> bool:
        """Return whether to serve another version, as this one was never loaded, or is gone."""
        others = self._catalog.get(files.name, {}).keys() - {files.version}
        return bool(others) and (files.key in self._untried or isinstance(error, FilesGone))

    def _load(self, path: Path, files: ModelFiles) -> Any:
        model = self._load_model(path, files)
        self._untried.discard(files.key)
        return model

    def _withdraw(self, files: ModelFiles, error: BaseException) -> None:
        """Stop serving a version, until a look finds that it can be loaded."""
        self._cannot_load(files, error)
        with self._publishing:
            versions = self._catalog.get(files.name, {})
            if versions.get(files.version) is files:
                self._replace(files.name, {version: of for version, of in versions.items() if of is not files})

    def names(self) -> dict[str, list[str]]:
        """Return the versions of each model, in order. Each key is a name by which ``get`` finds the model."""
        return {label(name): sorted(versions, key=int) for name, versions in self._catalog.items()}

    def refresh(self) -> None:
        """Look for changes once, one place after the other.

        A place that cannot be listed stays as it was, and so does a model that cannot be loaded. Models that are gone
        are dropped.
        """
        for place in self._places:
            known = {name: of for name, of in self._catalog.items() if place.name in (None, name)}
            try:
                found = place.models()
            except StoreError as error:
                self._complain(place, f"cannot look for changed models: {error}")
                continue
            self._told.pop(place, None)
            for name, versions in found.items():
                usable = self._usable(versions, known.get(name, {}))
                if usable != known.get(name, {}):
                    self._publish(name, usable)
            for name in known.keys() - found.keys():
                logger.warning("%s is gone from %s, and is not served any more", title(name), place.location)
                self._publish(name, {})

    def _usable(self, found: Mapping[str, ModelFiles], known: Mapping[str, ModelFiles]) -> dict[str, ModelFiles]:
        """Return the versions to serve: one that cannot be loaded in its state before, if there was one."""
        usable = {}
        for version, files in found.items():
            before = known.get(version)
            if self._can_serve(files, before):
                usable[version] = files
            elif before is not None:
                usable[version] = before
        return usable

    def _can_serve(self, files: ModelFiles, before: ModelFiles | None) -> bool:
        loaded = self._cache.fingerprint(files.key)
        if loaded == files.fingerprint:
            return True
        if loaded is not None or not self._on_demand:
            return self._reloaded(files)
        if before is not None and before.fingerprint == files.fingerprint:
            return True
        if not self._settled(files):
            return False
        if files.key in self._told:
            return self._reloaded(files)
        self._untried.add(files.key)
        return True

    def _settled(self, files: ModelFiles) -> bool:
        """Return whether a model looks as it did at the last look. Until then it may still be arriving."""
        same = self._seen.pop(files.key, None) == files.fingerprint
        if not same:
            self._seen[files.key] = files.fingerprint
        return same

    def _publish(self, name: str, versions: Mapping[str, ModelFiles]) -> None:
        """Serve exactly these versions of a model from now on."""
        with self._publishing:
            before = self._catalog.get(name, {})
            self._replace(name, versions)
        for version in before.keys() - versions.keys():
            self._cache.drop((name, version))
            self._seen.pop((name, version), None)
            self._untried.discard((name, version))

    def _replace(self, name: str, versions: Mapping[str, ModelFiles]) -> None:
        others = {other: of for other, of in self._catalog.items() if other != name}
        self._catalog = {**others, name: versions} if versions else others

    def _reloaded(self, files: ModelFiles) -> bool:
        """Load a changed model; return whether that succeeded. Tried at every look, as the reason may pass."""
        try:
            self._cache.replace(files)
        except (Exception, SystemExit) as error:
            self._cannot_load(files, error)
            return False
        self._told.pop(files.key, None)
        logger.info("%s version %s was loaded", files.title, files.version)
        return True

    def _cannot_load(self, files: ModelFiles, error: BaseException) -> None:
        kind = "" if isinstance(error, ServingError) else f"{type(error).__name__}: "
        reason = f"{files.title} version {files.version} cannot be loaded: {kind}{one_line(error)}"
        self._complain(files.key, reason, files.fingerprint)

    def _complain(self, about: Hashable, reason: str, state: str = "") -> None:
        """Log a reason, unless it was the last one logged about the same thing in the same state."""
        if self._told.get(about) != state + reason:
            self._told[about] = state + reason
            logger.warning("%s", reason)

    def _follow(self, seconds: float) -> None:
        while True:
            time.sleep(seconds)
            try:
                self.refresh()
            except Exception as error:  # this must not be the last look
                self._complain(self, f"cannot look for changed models: {type(error).__name__}: {error}")


OpenLibrary = Callable[[Load], Library]
"""Makes the library of the configured models, given how one is loaded from its files."""


def open_library(models: Models, project: Path, counters: Counters, load: Load) -> Library:
    """Make a library whose fetched models lie where all workers of the replica find them.

    Args:
        models: The specification's.
        project: The project folder.
        counters: Where loads and evictions are counted.
        load: Makes a model from its files.
    """
    folder = os.environ.get(Variable.MODEL_DIR) or tempfile.mkdtemp(prefix="cortex-models-")
    return Library(models, project, Path(folder), load, counters)
