"""The files and folders that an API names: they must exist, and be in the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.predictor_source import check_source
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.errors import Problem
from cortex_cdk.project import IGNORE_FILE, Exclusions


def check_files(api: RealtimeApi, diagnosis: Diagnosis, file: Path) -> Iterator[Problem]:
    """The problems of the files that ``api`` names, relative to the folder of the configuration ``file``.

    Raises:
        ProjectError: ``.cortexignore`` cannot be read.
    """
    predictor, root = api.predictor, file.parent
    reason = _predictor_file(predictor.path, root, Exclusions(root, file))
    if reason:
        yield diagnosis.problem(("predictor", "path"), reason, "paths are relative to the configuration file")
    elif not is_pickle(predictor.path):
        yield from check_source(root / predictor.path, predictor)
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


def is_pickle(path: str) -> bool:
    """Whether a predictor is a pickled class, as Cortex's Python client made them."""
    return path.endswith(".pickle")


def _predictor_file(path: str, root: Path, exclusions: Exclusions) -> str | None:
    if not path.endswith(".py") and not is_pickle(path):
        return f"{path} is not a Python file (.py)"
    reason = outside(root, path) or _not_file(root, path)
    if reason is None and exclusions.path(path):
        return f"{path} is left out of the project (hidden, or in {IGNORE_FILE})"
    return reason


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
    return None if (root / name).exists() else f"{name} does not exist in {root.absolute()}"
