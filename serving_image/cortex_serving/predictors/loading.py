"""Gets the predictor's class out of its file.

The file is imported as a module of the project, under the name by which other modules and processes know it: a process
that ``multiprocessing`` starts afresh (spawn, forkserver) looks the predictor's functions up by that name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from cortex_serving.contract import PICKLE_SUFFIX, Variable
from cortex_serving.errors import PredictorError
from cortex_serving.predictors.predictor_type import HANDLER
from cortex_serving.predictors.types import predictor_type
from cortex_serving.spec import PredictorSpec

_LOADED_BY_PATH = "cortex_serving.predictors.loaded_by_path"


def load_class(spec: PredictorSpec, project: Path) -> type:
    """Load the predictor's class from the project. This process has entered the project already (``project.enter``).

    Args:
        spec: The predictor's section.
        project: The project folder.

    Raises:
        PredictorError: There is no such file or class.
        Exception: Whatever the file itself raises.
    """
    path = project / spec.path
    class_name = predictor_type(spec.type).class_name
    if path.suffix == PICKLE_SUFFIX:
        return _load_pickle(path, class_name)
    if path.suffix != ".py" or not path.is_file():
        raise PredictorError(f"predictor.path names {path.name}, which is not a Python file of the project")
    for name in (class_name, HANDLER):
        _check_once(path, spec.path, name)
    module = _import(path, project / (spec.python_path or ""))
    found = getattr(module, class_name, None) or getattr(module, HANDLER, None)
    if not inspect.isclass(found):
        raise PredictorError(f"{spec.path} defines no class {class_name} (predictor.type is {spec.type})")
    return found


def _check_once(path: Path, shown: str, class_name: str) -> None:
    """Refuse a class that stands in a file twice (as Cortex did): the second would silently win.

    Args:
        path: The file.
        shown: The file as messages name it.
        class_name: The class.
    """
    tree = compile(path.read_bytes(), path, "exec", ast.PyCF_ONLY_AST)
    lines = [
        node.lineno for node in ast.iter_child_nodes(tree) if isinstance(node, ast.ClassDef) and node.name == class_name
    ]
    if len(lines) > 1:
        places = " and ".join(map(str, lines))
        raise PredictorError(f"{shown} defines {class_name} more than once, in lines {places}: keep one")


def _import(path: Path, root: Path) -> ModuleType:
    """Import a file of the project.

    Args:
        path: The file.
        root: The folder that imports start from.
    """
    name = _module_name(path, root)
    if name is not None:
        return importlib.import_module(name)
    os.environ[Variable.PREDICTOR_FILE] = str(path)  # for child processes, too
    return importlib.import_module(_LOADED_BY_PATH)


def _module_name(path: Path, root: Path) -> str | None:
    """Return the name by which Python finds a file; None if no name does, or the name finds another module first."""
    try:
        parts = path.relative_to(root).with_suffix("").parts
    except ValueError:
        return None
    if any("." in part for part in parts) or parts[0] in sys.modules:
        return None
    try:
        found = importlib.util.find_spec(".".join(parts))
    except Exception:  # a folder on the way is another module, or its __init__.py fails
        return None
    if found is None or found.origin is None or not path.samefile(found.origin):
        return None
    return found.name


def _load_pickle(path: Path, class_name: str) -> type:
    try:
        import dill
    except ImportError as error:
        message = "a pickled predictor needs dill: add it to requirements.txt"
        raise PredictorError(message) from error
    with path.open("rb") as file:
        content = dill.load(file)  # noqa: S301 - the project is the user's own code (cortex.md 1.1)
    if isinstance(content, Mapping):  # v0.20 wrote the class's attributes, v0.23 the class
        return type(class_name, (), dict(content))
    if not inspect.isclass(content):
        raise PredictorError(f"{path.name} holds {type(content).__name__}, not a predictor class")
    return content
