"""The models of one process: found, loaded, and followed as they change."""

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
from cortex_serving.models.catalog import LATEST, Catalog, ModelFiles, places, resolve
from cortex_serving.models.stores import FilesGone, StoreError, one_line
from cortex_serving.spec import Models

logger = logging.getLogger(__name__)

RELOAD_SECONDS = 10.0  # how often Cortex looked for changed models (cortex.md 2.3)


class Library:
    """Finds and loads models.

    Without ``cache_size`` every model is loaded at the start, and a changed one as soon as it is seen. With it, models
    are loaded when they are first asked for; a changed one that is not in memory counts once two looks have found it
    the same, as it may come file by file. Where the latest version is one that has come since the start and cannot be
    loaded, or is gone, the one before is served.

    Args:
        models: What the specification says.
        project: The project folder.
        folder: Where fetched models are kept.
        load: Makes a model from its files.
        counters: Where loads and evictions are counted.
    """

    def __init__(self, models: Models, project: Path, folder: Path, load: Load, counters: Counters) -> None:
        self._places = places(models, project)
        self._on_demand = models.cache_size is not None
        self._load_model = load
        self._cache = ModelCache(
            self._load, folder, size=models.cache_size, disk_size=models.disk_cache_size, counters=counters
        )
        self._catalog: Catalog = {}  # replaced as a whole: requests read it while it changes
        self._publishing = threading.Lock()
        self._untried: set[tuple[str, str]] = set()  # versions that came since the start and have not been loaded yet
        self._seen: dict[tuple[str, str], str] = {}  # fingerprints of models that are loaded on demand and have changed
        self._told: dict[Hashable, str] = {}  # what is wrong with a place or a model, so that it is said once

    def find(self) -> None:
        """Find the models, so that they can be asked for.

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
        """Load what was found, unless models are loaded on demand, and begin to follow changes.

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
        """A model.

        Raises:
            UnknownModel: There is none of that name or version.
            AmbiguousModel: No name was given, and there are several.
            Exception: Whatever loading it raises.
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
        """Whether another version shall be served, as this one was never loaded, or is gone."""
        others = self._catalog.get(files.name, {}).keys() - {files.version}
        return bool(others) and (files.key in self._untried or isinstance(error, FilesGone))

    def _load(self, path: Path, files: ModelFiles) -> Any:
        model = self._load_model(path, files)
        self._untried.discard(files.key)
        return model

    def _withdraw(self, files: ModelFiles, error: BaseException) -> None:
        """Serve a version no longer, until a look finds that it can be loaded."""
        self._cannot_load(files, error)
        with self._publishing:
            versions = self._catalog.get(files.name, {})
            if versions.get(files.version) is files:
                self._replace(files.name, {version: of for version, of in versions.items() if of is not files})

    def names(self) -> dict[str, list[str]]:
        """Versions by model."""
        return {name: sorted(versions, key=int) for name, versions in self._catalog.items()}

    def refresh(self) -> None:
        """Look for changes once.

        Places are looked at one by one: what cannot be listed or loaded stays as it was, while the rest is followed.
        A model that is gone is dropped.
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
                logger.warning("model %s is gone from %s, and is not served any more", name, place.location)
                self._publish(name, {})

    def _usable(self, found: Mapping[str, ModelFiles], known: Mapping[str, ModelFiles]) -> dict[str, ModelFiles]:
        """The versions that can be served: of one that cannot, the state before, if there was any."""
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
        """Whether a model looks as it did the last time: it may be on its way, and nobody has tried to load it."""
        same = self._seen.pop(files.key, None) == files.fingerprint
        if not same:
            self._seen[files.key] = files.fingerprint
        return same

    def _publish(self, name: str, versions: Mapping[str, ModelFiles]) -> None:
        """Serve these versions of a model from now on, and forget its others."""
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
        """Whether a changed model could be loaded: it is tried again every time, as the reason may pass."""
        try:
            self._cache.replace(files)
        except (Exception, SystemExit) as error:
            self._cannot_load(files, error)
            return False
        self._told.pop(files.key, None)
        logger.info("model %s version %s was loaded", files.name, files.version)
        return True

    def _cannot_load(self, files: ModelFiles, error: BaseException) -> None:
        kind = "" if isinstance(error, ServingError) else f"{type(error).__name__}: "
        reason = f"model {files.name} version {files.version} cannot be loaded: {kind}{one_line(error)}"
        self._complain(files.key, reason, files.fingerprint)

    def _complain(self, about: Hashable, reason: str, state: str = "") -> None:
        """Say what is wrong, unless it was the last thing said about it, in the same state."""
        if self._told.get(about) != state + reason:
            self._told[about] = state + reason
            logger.warning("%s", reason)

    def _follow(self, seconds: float) -> None:
        while True:
            time.sleep(seconds)
            try:
                self.refresh()
            except Exception as error:  # whatever it is, it must not be the last look
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
