"""Makes a project of a class, as people define one in a notebook.

class, options -> predictor.py, requirements.txt, cortex.yaml, sample.json, files -> a folder, deployed as any other
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from cortex_serving.contract import CONFIG_FILE, REALTIME_API, REQUIREMENTS_FILE, SAMPLE_FILE
from cortex_serving.predictors.types import predictor_types

from cortex_cdk.config import Config, load_config
from cortex_cdk.errors import ConfigError, CortexError, ProjectError
from cortex_cdk.project import pickled_names
from cortex_cdk.project.class_module import class_module
from cortex_cdk.project.free_names import imported_modules
from cortex_cdk.project.installed_packages import as_requirements

PREDICTOR_FILE = "predictor.py"
_OWN = (CONFIG_FILE, PREDICTOR_FILE)
_DEFAULT_TYPE = "python"


class ClassOptions(TypedDict, total=False):
    """What is said of a class that is deployed; the last six are sections of ``cortex.yaml``.

    Attributes:
        name: The API's name.
        requirements: Lines of ``requirements.txt``; without them, the packages that the class imports and that made the
            files, in the versions that are installed here.
        config: What ``__init__`` gets as ``config``.
        files: Files of the project by name: a path, bytes, or an object, which is written as the name's ending says
            (``.joblib``, ``.pickle``, ``.json``, ``.npy``, ``.txt``).
        sample: A request for ``sample.json``: shown by the API, and sent to each replica before it serves.
        predictor: Further fields of the section ``predictor``.
        compute: CPU, memory and GPUs of a replica.
        autoscaling: Number of replicas.
        networking: Endpoint and access.
        monitoring: Prediction monitoring.
        update_strategy: How replicas are replaced.
    """

    name: str
    requirements: Sequence[str]
    config: Mapping[str, Any]
    files: Mapping[str, Any]
    sample: Any
    predictor: Mapping[str, Any]
    compute: Mapping[str, Any]
    autoscaling: Mapping[str, Any]
    networking: Mapping[str, Any]
    monitoring: Mapping[str, Any]
    update_strategy: Mapping[str, Any]


class TemporaryFolder:
    """A folder that is removed with this object.

    Attributes:
        path: The folder.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="cortex-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def write_project(cls: type, options: ClassOptions, folder: Path) -> Config:
    """Write the project of a class.

    Args:
        cls: The predictor class, of any name.
        options: What is said of it.
        folder: An empty folder.

    Returns:
        Its configuration.

    Raises:
        CortexError: The class or an option cannot be used.
    """
    files = options.get("files", {})
    kind = _type(cls, options)
    source = class_module(cls, predictor_types()[kind].class_name, files)
    (folder / PREDICTOR_FILE).write_text(source)
    for name, content in files.items():
        _write_file(folder, name, content)
    requirements = options.get("requirements")
    if isinstance(requirements, str):
        raise ProjectError(f"requirements is the text {requirements!r}: give a list of lines")
    if requirements is None and REQUIREMENTS_FILE not in files:
        requirements = as_requirements(imported_modules(source) | {_module(value) for value in files.values()})
    if requirements:
        (folder / REQUIREMENTS_FILE).write_text("".join(f"{line}\n" for line in requirements))
    if "sample" in options:
        (folder / SAMPLE_FILE).write_bytes(_json(options["sample"], "sample"))
    (folder / CONFIG_FILE).write_bytes(_json([_entry(kind, options)], "an option"))
    return _checked(folder)


def _type(cls: type, options: ClassOptions) -> str:
    """The predictor's type: the one that was given, or whose class has that name."""
    given: str = options.get("predictor", {}).get("type", "")
    if given in predictor_types():
        return given
    return next((kind.name for kind in predictor_types().values() if kind.class_name == cls.__name__), _DEFAULT_TYPE)


def _entry(kind: str, options: ClassOptions) -> dict[str, Any]:
    """The API's entry in ``cortex.yaml``."""
    config = {"config": options["config"]} if "config" in options else {}
    own = ("requirements", "files", "sample", "config", "predictor")
    predictor = {"type": kind, "path": PREDICTOR_FILE, **config, **options.get("predictor", {})}
    sections = {name: value for name, value in options.items() if name not in own}
    return {"kind": REALTIME_API, "predictor": predictor, **sections}


def _checked(folder: Path) -> Config:
    """Load the configuration; a mistake is told without the file, which the user has not written.

    Raises:
        ConfigError: The options are not those of an API.
    """
    try:
        return load_config(folder)
    except ConfigError as error:
        raise ConfigError(
            [
                replace(problem, file=Path(problem.file.name), line=None, column=None)
                if problem.file.name == CONFIG_FILE
                else replace(problem, file=Path(problem.file.name))
                for problem in error.problems
            ]
        ) from None


def _write_file(folder: Path, name: str, content: Any) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name or str(path) in _OWN:
        raise ProjectError(
            f"{name!r} cannot be the name of a file of the project: give a path in it, such as model.joblib"
        )
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str | os.PathLike):
        _copy(Path(content), target)
    else:
        target.write_bytes(bytes(content) if isinstance(content, bytes | bytearray) else _written(content, path))
    for file in sorted(target.rglob("*")) if target.is_dir() else [target]:
        _check_pickle(file, str(file.relative_to(folder)))


def _check_pickle(file: Path, name: str) -> None:
    """Refuse a pickle that no replica could load.

    Raises:
        ProjectError: It needs classes or functions of a notebook's cells.
    """
    missing = pickled_names.names_of_main(file) if file.suffix in pickled_names.ENDINGS else []
    if missing:
        raise ProjectError(
            f"{name} needs {', '.join(missing)}, which a notebook or script has defined (__main__): replicas do not",
            hint=pickled_names.TO_DO,
        )


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    except OSError as error:
        reason = error.strerror or error
        raise ProjectError(f"{source} cannot be read: {reason}", hint="give content as bytes") from error


def _written(value: Any, path: PurePosixPath) -> bytes:
    """Write an object as the ending of a name says.

    Raises:
        ProjectError: There is no way to write files of that ending, or this object cannot be written so.
    """
    if path.suffix == ".json":
        return _json(value, str(path))
    writers = {".joblib": _joblib, ".pickle": _pickle, ".pkl": _pickle, ".npy": _numpy}
    if path.suffix not in writers:
        known = ", ".join([*writers, ".json"])
        raise ProjectError(
            f"{path} is {type(value).__name__}, and objects are written to files that end with {known}",
            hint="write it yourself, and give the path or the bytes",
        )
    stream = io.BytesIO()
    try:
        writers[path.suffix](value, stream)
    except Exception as error:  # objects of any library, pickled: anything can happen
        raise ProjectError(f"{path}: {type(value).__name__} cannot be written: {error}") from error
    return stream.getvalue()


def _joblib(value: Any, stream: io.BytesIO) -> None:
    import joblib

    joblib.dump(value, stream)


def _pickle(value: Any, stream: io.BytesIO) -> None:
    import pickle

    pickle.dump(value, stream)


def _numpy(value: Any, stream: io.BytesIO) -> None:
    import numpy

    numpy.save(stream, value)


def _json(value: Any, what: str) -> bytes:
    from cortex_serving.errors import UnsupportedResult
    from cortex_serving.results.render import dump_json

    try:
        # Indented, as people read it, too.
        return json.dumps(json.loads(dump_json(value)), indent=2, ensure_ascii=False).encode()
    except UnsupportedResult as error:
        raise ProjectError(f"{what} cannot be written as JSON: {error.reason or error}") from error


def _module(value: Any) -> str:
    """The top-level module that an object's class comes from."""
    return type(value).__module__.partition(".")[0]


def check_options(source: object, options: Mapping[str, Any]) -> None:
    """Refuse options that do not fit what is deployed.

    Args:
        source: A class, or anything else.
        options: What was given besides.

    Raises:
        CortexError: They do not fit.
    """
    if not isinstance(source, type):
        if not isinstance(source, Config | str | os.PathLike):
            raise CortexError(
                f"deploy takes a folder, a file or a class, not an object of {type(source).__name__}",
                hint="give the class itself, and what its objects need as files={...}",
            )
        if options:
            named = ", ".join(f"{name}=" for name in options)
            raise CortexError(f"{named} belongs to a class: a folder has a {CONFIG_FILE}, which says so")
        return
    unknown = [name for name in options if name not in ClassOptions.__annotations__]
    if unknown:
        raise CortexError(
            f"deploy takes no {unknown[0]}=", hint=f"for a class it takes {', '.join(ClassOptions.__annotations__)}"
        )
    if "name" not in options:
        raise CortexError(f"{source.__name__} needs a name", hint=f'client.deploy({source.__name__}, name="iris", ...)')
