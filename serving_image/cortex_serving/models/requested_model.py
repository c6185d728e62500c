"""Finds the model that a request names, or says why there is none."""

from __future__ import annotations

from collections.abc import Iterable

import falcon

from cortex_serving.contract import ONLY_MODEL
from cortex_serving.models.catalog import Catalog, ModelFiles, title

LATEST = "latest"


class UnknownModel(falcon.HTTPNotFound):
    """The request asked for a model or version that does not exist. Its client gets a 404."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description)

    def __str__(self) -> str:
        """Return the reason, for the log: a predictor's ``__init__`` may raise this, too."""
        return self.description or ""


class AmbiguousModel(falcon.HTTPBadRequest):
    """The request named no model, and there are several. Its client gets a 400."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(description="there are several models: say which one by its name")
        self._names = names

    def __str__(self) -> str:
        """Return the reason, with the models' names, for the log."""
        return f"{self.description}: {', '.join(sorted(self._names))}"


def resolve(catalog: Catalog, name: str | None, version: str | int | None) -> ModelFiles:
    """Find the model that a request names.

    Args:
        catalog: The models that exist.
        name: Model; None means the only one. The model of ``model_path`` has no name: as in Cortex, any name means it.
        version: A number; None and ``latest`` mean the highest.

    Raises:
        UnknownModel: There is no model of that name or version.
        AmbiguousModel: No name was given, and there are several models.
    """
    if ONLY_MODEL in catalog:
        name = ONLY_MODEL
    elif name is None:
        if not catalog:
            raise UnknownModel("there are no models")
        if len(catalog) > 1:
            raise AmbiguousModel(catalog)
        name = next(iter(catalog))
    versions = catalog.get(name) if isinstance(name, str) else None  # a name comes from a payload, and may be a list
    if not versions:
        raise UnknownModel(f"there is no model named {name!r}")
    if version is None or version == LATEST:
        return versions[max(versions, key=int)]
    wanted = str(version)
    if wanted.isascii() and wanted.isdigit():
        wanted = str(int(wanted))  # as for folders: 007 is 7
    if wanted not in versions:
        there = ", ".join(sorted(versions, key=int))
        model = title(name) if name == ONLY_MODEL else f"model {name!r}"
        raise UnknownModel(f"{model} has no version {version!r}; there are {there}")
    return versions[wanted]
