"""Which models and versions exist right now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import falcon

from cortex_serving.models.stores import Store, StoredFile, StoreError, fingerprint, open_store
from cortex_serving.spec import Models

DEFAULT = "_cortex_default"  # name of the only model, given by model_path
LATEST = "latest"
ONLY_VERSION = "1"  # of models without version folders


class UnknownModel(falcon.HTTPNotFound):
    """A request asked for a model or version that does not exist; its client sees a 404."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description)


@dataclass(frozen=True)
class ModelFiles:
    """The files of one version of one model."""

    name: str
    version: str
    store: Store
    prefix: str
    files: tuple[StoredFile, ...]
    fingerprint: str
    signature_key: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Name and version."""
        return self.name, self.version

    def local(self, folder: Path) -> Path:
        """The files on disk; fetched below ``folder`` if they are elsewhere."""
        return self.store.local(self.prefix, self.files, folder / self.name / f"{self.version}-{self.fingerprint}")


Catalog = Mapping[str, Mapping[str, ModelFiles]]
"""Models by name and version."""


def scan(models: Models, project: Path) -> dict[str, dict[str, ModelFiles]]:
    """List every model that the specification names.

    Raises:
        StoreError: A place cannot be listed.
    """
    if models.dir is not None:
        return _scan_dir(models.dir, models.signature_key, project)
    catalog = {}
    for entry in models.paths:
        store = open_store(entry.model_path, project)
        key = entry.signature_key or models.signature_key
        versions = _versions(entry.name, store, "", store.files(), key)
        if not versions:
            raise StoreError(f"there is no model at {entry.model_path}")
        catalog[entry.name] = versions
    return catalog


def _scan_dir(location: str, signature_key: str | None, project: Path) -> dict[str, dict[str, ModelFiles]]:
    store = open_store(location, project)
    by_name: dict[str, list[StoredFile]] = {}
    for file in store.files():
        name, slash, _ = file.path.partition("/")
        if slash:
            by_name.setdefault(name, []).append(file)
    return {name: _versions(name, store, name, files, signature_key) for name, files in by_name.items()}


def _versions(
    name: str, store: Store, prefix: str, files: Sequence[StoredFile], signature_key: str | None
) -> dict[str, ModelFiles]:
    """Group a model's files by version folder: whole numbers, for all of the files or for none."""
    below = len(prefix) + 1 if prefix else 0
    grouped: dict[str, list[StoredFile]] = {}
    for file in files:
        folder, slash, _ = file.path[below:].partition("/")
        if not (slash and folder.isascii() and folder.isdigit()):
            grouped = {"": list(files)}
            break
        grouped.setdefault(folder, []).append(file)
    versions = {}
    for folder, members in grouped.items():
        version = str(int(folder)) if folder else ONLY_VERSION
        where = "/".join(part for part in (prefix, folder) if part)
        versions[version] = ModelFiles(name, version, store, where, tuple(members), fingerprint(members), signature_key)
    return versions


def resolve(catalog: Catalog, name: str | None, version: str) -> ModelFiles:
    """The model that a request means.

    Args:
        catalog: What exists.
        name: Model; None means the only one.
        version: A number, or ``latest``.

    Raises:
        UnknownModel: There is none of that name or version.
        falcon.HTTPBadRequest: No name was given, and there are several models.
    """
    if name is None:
        if len(catalog) != 1:
            raise falcon.HTTPBadRequest(description="there are several models: say which one by its name")
        name = next(iter(catalog))
    versions = catalog.get(name) if isinstance(name, str) else None  # names come from payloads: it may be a list
    if not versions:
        raise UnknownModel(f"there is no model named {name!r}")
    wanted = max(versions, key=int) if version == LATEST else str(version)
    if wanted not in versions:
        raise UnknownModel(f"model {name!r} has no version {version!r}; there are {', '.join(sorted(versions))}")
    return versions[wanted]
