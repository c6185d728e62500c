"""Tells models and versions from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex_serving.contract import ONLY_MODEL
from cortex_serving.models.stores import S3, Store, StoredFile, fingerprint, open_store
from cortex_serving.spec import Models

ONLY_VERSION = "1"  # version of models without version folders


def label(name: str) -> str:
    """Return the key of a model where people see models by name. Any name means the only model, so this one does."""
    return "model" if name == ONLY_MODEL else name


def title(name: str) -> str:
    """Return a model's name for people: the one of ``predictor.model_path`` has none that they would know."""
    return "the model" if name == ONLY_MODEL else f"model {name}"


@dataclass(frozen=True)
class ModelFiles:
    """The files of one version of one model.

    Attributes:
        name: The model.
        version: A whole number, as text.
        store: Lists and fetches the files.
        prefix: Path of the version below the store's root; empty for the root.
        files: The files.
        fingerprint: Changes when any of the files does.
        signature_key: Signature to call, for SavedModels.
    """

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

    @property
    def title(self) -> str:
        """The model's name for people."""
        return title(self.name)

    def local(self, folder: Path) -> Path:
        """Return the folder or file of the model on this disk; fetch it below ``folder`` if it lies elsewhere.

        Raises:
            StoreError: The files cannot be fetched.
        """
        return self.store.local(self.prefix, self.files, folder / self.name / f"{self.version}-{self.fingerprint}")


Catalog = Mapping[str, Mapping[str, ModelFiles]]
"""Models by name and version."""


@dataclass(frozen=True)
class Place:
    """A place of one model, or of any number of models.

    Attributes:
        location: The place as the specification names it.
        name: The model; None where each folder is a model (``models.dir``).
        store: Lists and fetches the files below it.
        signature_key: Signature to call, for SavedModels.
    """

    location: str
    name: str | None
    store: Store
    signature_key: str | None

    def models(self) -> dict[str, dict[str, ModelFiles]]:
        """List the models that lie there now.

        Returns:
            Files by name and version; empty if there are none.

        Raises:
            StoreError: The place cannot be listed.
        """
        files = self.store.files()
        if self.name is not None:
            return {self.name: _versions(self.name, self.store, "", files, self.signature_key)} if files else {}
        by_name: dict[str, list[StoredFile]] = {}
        for file in files:
            name, slash, _ = file.path.partition("/")
            if slash and name and not name.startswith("."):
                by_name.setdefault(name, []).append(file)
        return {name: _versions(name, self.store, name, of, self.signature_key) for name, of in by_name.items()}


def places(models: Models, project: Path) -> tuple[Place, ...]:
    """Return every place that a specification names; ``project`` is the project folder."""
    s3 = S3()
    if models.dir is not None:
        return (Place(models.dir, None, open_store(models.dir, project, s3), models.signature_key),)
    return tuple(
        Place(
            entry.model_path,
            entry.name,
            open_store(entry.model_path, project, s3),
            entry.signature_key or models.signature_key,
        )
        for entry in models.paths
    )


def _versions(
    name: str, store: Store, prefix: str, files: Sequence[StoredFile], signature_key: str | None
) -> dict[str, ModelFiles]:
    """Group a model's files by version folder: folders named by whole numbers, which hold all of the files or none.

    Hidden files beside such folders do not count: systems leave theirs (``.DS_Store``) everywhere.
    """
    below = len(prefix) + 1 if prefix else 0
    grouped: dict[str, list[StoredFile]] = {}
    for file in files:
        folder, slash, _ = file.path[below:].partition("/")
        if folder.startswith("."):
            continue
        if not (slash and folder.isascii() and folder.isdigit()):
            grouped = {"": list(files)}
            break
        grouped.setdefault(folder, []).append(file)
    versions = {}
    for folder, members in (grouped or {"": list(files)}).items():
        version = str(int(folder)) if folder else ONLY_VERSION
        where = "/".join(part for part in (prefix, folder) if part)
        versions[version] = ModelFiles(name, version, store, where, tuple(members), fingerprint(members), signature_key)
    return versions
