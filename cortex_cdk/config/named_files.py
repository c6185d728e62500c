"""The files and folders that an API names: they must exist, and be in the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.errors import Problem


def check_files(api: RealtimeApi, diagnosis: Diagnosis, root: Path) -> Iterator[Problem]:
    """The problems of the files that ``api`` names, relative to the project at ``root``."""
    predictor = api.predictor
    yield from _predictor_file(predictor.path, diagnosis, root)
    if predictor.python_path is not None:
        path: FieldPath = ("predictor", "python_path")
        reason = outside(root, predictor.python_path) or _not_folder(root, predictor.python_path)
        if reason:
            yield diagnosis.problem(path, reason)
    if isinstance(predictor.warmup, str):
        reason = outside(root, predictor.warmup) or _not_file(root, predictor.warmup)
        if reason:
            yield diagnosis.problem(("predictor", "warmup"), reason)
    for path, model in _model_paths(api):
        reason = None if model.startswith("s3://") else outside(root, model) or _missing(root, model)
        if reason:
            yield diagnosis.problem(path, reason, "models are on S3 (s3://bucket/path) or in the project")


def _predictor_file(path: str, diagnosis: Diagnosis, root: Path) -> Iterator[Problem]:
    field: FieldPath = ("predictor", "path")
    if path.endswith((".pickle", ".pkl")):
        hint = "put the class into a Python file and name that"
        yield diagnosis.problem(
            field, "pickled predictors are not supported: they depend on the Python version that wrote them", hint
        )
    elif not path.endswith(".py"):
        yield diagnosis.problem(field, f"{path} is not a Python file (.py)")
    else:
        reason = outside(root, path) or _not_file(root, path)
        if reason:
            yield diagnosis.problem(field, reason, "paths are relative to the configuration file")


def _model_paths(api: RealtimeApi) -> Iterator[tuple[FieldPath, str]]:
    predictor = api.predictor
    if predictor.model_path:
        yield ("predictor", "model_path"), predictor.model_path
    if predictor.models:
        if predictor.models.dir:
            yield ("predictor", "models", "dir"), predictor.models.dir
        for index, model in enumerate(predictor.models.paths or ()):
            yield ("predictor", "models", "paths", index, "model_path"), model.model_path


def outside(root: Path, name: str) -> str | None:
    """Why a path that the configuration names is not in the project; None if it is."""
    if "://" in name:
        return f"{name} is not a path that can be read"
    if name.startswith(("/", "~")) or "\\" in name:
        return f"{name} must be relative to the project, with / between its parts"
    if ".." in PurePosixPath(name).parts or "\0" in name:
        return f"{name} leads out of the project"
    try:
        resolved = (root / name).resolve()
    except (OSError, RuntimeError):
        return f"{name} cannot be resolved"
    return None if resolved.is_relative_to(root.resolve()) else f"{name} is a link that leads out of the project"


def _not_file(root: Path, name: str) -> str | None:
    return _missing(root, name) or (None if (root / name).is_file() else f"{name} is not a file")


def _not_folder(root: Path, name: str) -> str | None:
    return _missing(root, name) or (None if (root / name).is_dir() else f"{name} is not a folder")


def _missing(root: Path, name: str) -> str | None:
    return None if (root / name).exists() else f"{name} does not exist in {root}"
