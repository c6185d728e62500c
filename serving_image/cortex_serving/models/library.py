"""The models of one process: found, loaded, and followed as they change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.cache import Load, ModelCache
from cortex_serving.models.catalog import LATEST, Catalog, ModelFiles, resolve, scan
from cortex_serving.models.stores import StoreError
from cortex_serving.spec import Models

logger = logging.getLogger(__name__)

RELOAD_SECONDS = 10.0  # how often Cortex looked for changed models (cortex.md 2.3)


class Library:
    """Finds and loads models.

    Without ``cache_size`` every model is loaded at the start, and a changed one as soon as it is seen. With it, models
    are loaded when they are first asked for.

    Args:
        models: What the specification says.
        project: The project folder.
        folder: Where fetched models are kept.
        load: Makes a model from its files.
        counters: Where loads and evictions are counted.
    """

    def __init__(self, models: Models, project: Path, folder: Path, load: Load, counters: Counters) -> None:
        self._models = models
        self._project = project
        self._cache = ModelCache(
            load, folder, size=models.cache_size, disk_size=models.disk_cache_size, counters=counters
        )
        self._catalog: Catalog = {}
        self._refused: dict[tuple[str, str], str] = {}  # changed models that could not be loaded, and what was said

    def start(self, reload_seconds: float = RELOAD_SECONDS) -> None:
        """Find the models, load them unless they are loaded on demand, and begin to follow changes.

        Raises:
            StoreError: Models cannot be listed or fetched.
            Exception: Whatever loading a model raises.
        """
        catalog = scan(self._models, self._project)
        if self._models.cache_size is None:
            for versions in catalog.values():
                for files in versions.values():
                    self._cache.get(files)
        self._catalog = catalog
        follow = threading.Thread(target=self._follow, args=(reload_seconds,), name="models", daemon=True)
        follow.start()

    def get(self, name: str | None, version: str = LATEST) -> Any:
        """A model.

        Raises:
            UnknownModel: There is none of that name or version.
            Exception: Whatever loading it raises.
        """
        return self._cache.get(resolve(self._catalog, name, version))

    def names(self) -> dict[str, list[str]]:
        """Versions by model."""
        return {name: sorted(versions, key=int) for name, versions in self._catalog.items()}

    def refresh(self) -> None:
        """Look for changes once. A model that cannot be loaded stays as it was.

        Raises:
            StoreError: Models cannot be listed.
        """
        found = scan(self._models, self._project)
        known = self._catalog
        for name, versions in found.items():
            for version, files in list(versions.items()):
                if self._wants_loading(files) and not self._reloaded(files):
                    before = known.get(name, {}).get(version)
                    if before is None:
                        del versions[version]
                    else:
                        versions[version] = before
        self._catalog = {name: versions for name, versions in found.items() if versions}
        for name, old in known.items():
            for version in old.keys() - self._catalog.get(name, {}).keys():
                self._cache.drop((name, version))

    def _wants_loading(self, files: ModelFiles) -> bool:
        loaded = self._cache.fingerprint(files.key)
        if loaded is None:
            return self._models.cache_size is None
        return loaded != files.fingerprint

    def _reloaded(self, files: ModelFiles) -> bool:
        try:
            self._cache.replace(files)
        except Exception as error:
            self._refuse(files, error)
            return False
        self._refused.pop(files.key, None)
        logger.info("model %s version %s was loaded", files.name, files.version)
        return True

    def _refuse(self, files: ModelFiles, error: Exception) -> None:
        """Say why a model cannot be loaded, once: it is tried again every time, as the reason may pass."""
        told = f"{files.fingerprint} {error}"
        if self._refused.get(files.key) != told:
            self._refused[files.key] = told
            logger.warning("model %s version %s cannot be loaded: %s", files.name, files.version, error)

    def _follow(self, seconds: float) -> None:
        while True:
            time.sleep(seconds)
            try:
                self.refresh()
            except (StoreError, OSError) as error:
                logger.warning("cannot look for changed models: %s", error)


class PythonClient:
    """What a ``PythonPredictor`` with models is handed as ``python_client``.

    Args:
        open_library: Makes the library from the predictor's own ``load_model``.
    """

    def __init__(self, open_library: Callable[[Load], Library]) -> None:
        self._open_library = open_library
        self._library: Library | None = None

    def bind(self, load_model: Callable[[str], Any]) -> None:
        """Take the predictor's ``load_model``; models can be loaded from here on."""
        self._library = self._open_library(lambda path, files: load_model(str(path)))

    def start(self) -> None:
        """Load what is loaded at the start."""
        self._bound().start()

    def get_model(self, model_name: str | None = None, model_version: str = LATEST) -> Any:
        """The value that ``load_model`` made of a model.

        Raises:
            UnknownModel: There is none of that name or version; the client of the API sees a 404.
        """
        return self._bound().get(model_name, model_version)

    def metadata(self) -> dict[str, Any]:
        """Models and their versions."""
        return {"model_metadata": self._bound().names()}

    def _bound(self) -> Library:
        if self._library is None:
            raise RuntimeError("python_client can be used once __init__ has been called")
        return self._library
