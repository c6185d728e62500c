"""The user's predictor: its file loaded, its class found and checked, its methods called with what they name."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from cortex_serving.errors import PredictorError, ServingError
from cortex_serving.models.clients import Client
from cortex_serving.models.library import PythonClient
from cortex_serving.spec import PredictorSpec

PREDICT_ARGUMENTS = frozenset({"payload", "query_params", "headers", "batch_id"})
POST_PREDICT_ARGUMENTS = frozenset({"response", "payload", "query_params", "headers"})
_OWN = str(Path(__file__).parent) + os.sep
_CLIENT_ARGUMENT = {"python": "python_client", "onnx": "onnx_client", "tensorflow": "tensorflow_client"}


def _arguments(method: Any, label: str, allowed: frozenset[str], required: frozenset[str]) -> frozenset[str]:
    """Names that the method takes, checked as Cortex did at replica start (cortex.md 1.1)."""
    if not callable(method):
        raise PredictorError(f"{label} is not a method: define it with def")
    parameters = list(inspect.signature(method).parameters.values())
    if not parameters or parameters[0].name != "self":
        raise PredictorError(f"the first argument of {label} must be self")
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [parameter for parameter in parameters[1:] if parameter.kind not in kinds]
    names = frozenset(parameter.name for parameter in named)
    unknown = {parameter.name for parameter in named if parameter.default is parameter.empty} - allowed
    if unknown:
        raise PredictorError(f"{label} takes {', '.join(sorted(unknown))}; possible are {', '.join(sorted(allowed))}")
    if required - names:
        raise PredictorError(f"{label} must take {', '.join(sorted(required - names))}")
    return names & allowed


def _load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("cortex_predictor", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PredictorError(f"predictor.path names {path.name}, which is not a Python file of the project")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pickle and dataclasses look classes up by their module
    spec.loader.exec_module(module)
    return module


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


def load_class(spec: PredictorSpec, project: Path) -> type:
    """Load the predictor's class from the project.

    Raises:
        PredictorError: There is no such file or class.
        Exception: Whatever the file itself raises.
    """
    path = project / spec.path
    if path.suffix == ".pickle":
        return _load_pickle(path, spec.class_name)
    found = getattr(_load_module(path), spec.class_name, None)
    if not inspect.isclass(found):
        raise PredictorError(f"{spec.path} defines no class {spec.class_name} (predictor.type is {spec.type})")
    return found


class Predictor:
    """A predictor that was built, and what its methods want to be given.

    Attributes:
        wants: Arguments that ``predict`` names.
        post_wants: Arguments that ``post_predict`` names; None without that method.
    """

    def __init__(self, cls: Any, spec: PredictorSpec, client: Client | None) -> None:
        """Check the class and build the predictor; raises PredictorError, or whatever the user's code raises."""
        name = spec.class_name
        client_name = _CLIENT_ARGUMENT[spec.type]
        allowed = frozenset({"config", "job_spec", client_name})
        needs_client = client is not None or spec.type != "python"
        required = frozenset({"config", client_name} if needs_client else {"config"})
        names = _arguments(cls.__init__, f"{name}.__init__", allowed, required)
        method = getattr(cls, "predict", None)
        if method is None:
            raise PredictorError(f"{name} has no method predict")
        self.wants = _arguments(method, f"{name}.predict", PREDICT_ARGUMENTS, frozenset())
        after = getattr(cls, "post_predict", None)
        self.post_wants = (
            None if after is None else _arguments(after, f"{name}.post_predict", POST_PREDICT_ARGUMENTS, frozenset())
        )
        values: dict[str, object] = {"config": _plain(spec.config), "job_spec": None}
        if client is not None:
            values[client_name] = client
        self.instance: Any = cls.__new__(cls)
        if isinstance(client, PythonClient):
            client.bind(_load_model(self.instance, name))
        if client is not None:  # before __init__, which may want a model already
            client.find()
        self.instance.__init__(**{key: value for key, value in values.items() if key in names})
        if client is not None:
            client.start()
        self.predict: Callable[..., Any] = self.instance.predict
        self.post_predict: Callable[..., Any] | None = getattr(self.instance, "post_predict", None)


def _load_model(instance: Any, name: str) -> Callable[[str], Any]:
    """The predictor's ``load_model``, mandatory where models are configured (cortex.md 1.1)."""
    method = getattr(type(instance), "load_model", None)
    if method is None:
        raise PredictorError(f"{name} has no method load_model, which it needs for predictor.models")
    _arguments(method, f"{name}.load_model", frozenset({"model_path"}), frozenset({"model_path"}))
    bound: Callable[[str], Any] = instance.load_model
    return bound


def _plain(value: Any) -> Any:
    """A deep copy of configuration, as ordinary dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def user_traceback(error: BaseException, project: Path) -> str:
    """The error's traceback from the user's code on, without frames of the serving program (a call of ``get_model``).

    Frames of libraries that the user's code called stay: they tell what went wrong.
    """
    described = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [described]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        first = next((n for n, frame in enumerate(part.stack) if frame.filename.startswith(str(project))), None)
        if first is not None:
            theirs = [frame for frame in part.stack[first:] if not frame.filename.startswith(_OWN)]
            part.stack = traceback.StackSummary.from_list(theirs)
        elif part is described and isinstance(error, ServingError):
            part.stack = traceback.StackSummary.from_list([])
        pending += [part.__cause__, part.__context__]
    return "".join(described.format()).rstrip()


def summary(error: BaseException) -> str:
    """The error in one line: its type and message."""
    try:
        text = str(error).strip().splitlines()
    except Exception:  # a predictor's own exceptions may be broken, too
        text = []
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
