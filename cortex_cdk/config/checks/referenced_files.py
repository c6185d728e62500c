"""Checks the files and folders that an API names: they must exist, and belong to the project."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from cortex_serving.contract import PICKLE_SUFFIX, SAMPLE_FILE

from cortex_cdk.config.checks.predictor_source import check_source
from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.config.sections.predictor import Predictor
from cortex_cdk.errors import Problem
from cortex_cdk.project.archive import IGNORE_FILE, Exclusions

# The fields that decide which methods and arguments the predictor class must have.
_DECISIVE: tuple[FieldPath, ...] = (
    ("predictor", "type"),
    ("predictor", "path"),
    ("predictor", "model_path"),
    ("predictor", "models"),
)
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


def check_files(api: RealtimeApi, diagnosis: Diagnosis, file: Path) -> Iterator[Problem]:
    """Yield the problems of the files that an API names.

    Args:
        api: The API.
        diagnosis: Knows which of the API's fields are wrong: these are not checked again.
        file: The configuration file; paths are relative to its folder.

    Raises:
        ProjectError: ``.cortexignore`` cannot be read.
    """
    folder = _Folder(file)
    parseable = diagnosis.sound(*_DECISIVE) and not is_pickle(api.predictor.path)
    for path, name, check in _named(api.predictor, folder):
        reason = check(name) if diagnosis.sound(path) else None
        if reason:
            parseable = parseable and path != ("predictor", "path")
            hint = None if IGNORE_FILE in reason or "JSON" in reason else "paths are relative to the configuration file"
            yield diagnosis.problem(path, reason, hint)
    if parseable:
        yield from check_source(file.parent / api.predictor.path, api.predictor)


def is_pickle(path: str) -> bool:
    """Return whether a predictor's path names a pickled class, as the original's Python client wrote them."""
    return path.endswith(PICKLE_SUFFIX)


class _Folder:
    """The project's folder. Each check returns why a name cannot be used, or None."""

    def __init__(self, config_path: Path) -> None:
        self._root = config_path.parent
        self._exclusions = Exclusions(self._root, config_path)

    def python_file(self, name: str) -> str | None:
        if not name.endswith(".py") and not is_pickle(name):
            return f"{name} is not a Python file (.py)"
        return self.file(name)

    def file(self, name: str) -> str | None:
        return self.entry(name) or (None if (self._root / name).is_file() else f"{name} is not a file")

    def sample(self, name: str) -> str | None:
        return self.file(name) or _not_json(self._root / name)

    def has(self, name: str) -> bool:
        return (self._root / name).is_file() and not self.entry(name)

    def folder(self, name: str) -> str | None:
        return self.entry(name) or (None if (self._root / name).is_dir() else f"{name} is not a folder")

    def model(self, name: str) -> str | None:
        if name.startswith("s3://"):
            return None if _S3.fullmatch(name) else f"{name} is not a path on S3 (s3://bucket/path)"
        return self.entry(name)

    def entry(self, name: str) -> str | None:
        reason = _outside(self._root, name)
        if reason:
            return reason
        if not (self._root / name).exists():
            return f"{name} does not exist in {self._root.absolute()}"
        if self._exclusions.path(name.rstrip("/")):
            return f"{name} is left out of the project (hidden, or in {IGNORE_FILE})"
        return None


_Named = tuple[FieldPath, str, Callable[[str], str | None]]


def _named(predictor: Predictor, folder: _Folder) -> Iterator[_Named]:
    yield ("predictor", "path"), predictor.path, folder.python_file
    if predictor.python_path is not None:
        yield ("predictor", "python_path"), predictor.python_path, folder.folder
    sample = SAMPLE_FILE if predictor.warmup is True and folder.has(SAMPLE_FILE) else predictor.warmup
    if isinstance(sample, str):
        yield ("predictor", "warmup"), sample, folder.sample
    if predictor.model_path:
        yield ("predictor", "model_path"), predictor.model_path, folder.model
    if predictor.models and predictor.models.dir:
        yield ("predictor", "models", "dir"), predictor.models.dir, folder.model
    for index, model in enumerate((predictor.models and predictor.models.paths) or ()):
        yield ("predictor", "models", "paths", index, "model_path"), model.model_path, folder.model


def _not_json(file: Path) -> str | None:
    """Return why a replica could not read a sample request; None if it could."""
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return f"{file.name}, the sample request, is not JSON: {error} (warmup: false starts replicas without it)"
    return None


def _outside(root: Path, name: str) -> str | None:
    """Return why a path is not in the project; None for a path that is."""
    if "://" in name or "\0" in name:
        return f"{name!r} is neither a path in the project nor on S3 (s3://bucket/path)"
    if name.startswith(("/", "~")) or "\\" in name:
        return f"{name} must be relative, with / between its parts"
    if ".." in PurePosixPath(name).parts:
        return f"{name} leads out of the project"
    try:
        resolved = (root / name).resolve()
    except (OSError, RuntimeError):
        return f"{name} cannot be resolved"
    return None if resolved.is_relative_to(root.resolve()) else f"{name} is a link that leads out of the project"
