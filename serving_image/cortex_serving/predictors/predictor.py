"""The user's predictor: its class checked and built, its methods called with what they name."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortex_serving.errors import PredictorError, ServingError
from cortex_serving.models.clients import Client
from cortex_serving.models.library import PythonClient
from cortex_serving.spec import PredictorSpec

PREDICT_ARGUMENTS = frozenset({"payload", "query_params", "headers", "batch_id"})
POST_PREDICT_ARGUMENTS = frozenset({"response", "payload", "query_params", "headers"})
_LONGEST_SUMMARY = 1000  # characters: it goes into one line, and onto the board
_OWN = str(Path(__file__).parents[1]) + os.sep
_CLIENT_ARGUMENT = {"python": "python_client", "onnx": "onnx_client", "tensorflow": "tensorflow_client"}


def _arguments(cls: type, name: str, allowed: frozenset[str], required: frozenset[str]) -> frozenset[str]:
    """Names that a method takes, checked as Cortex did at replica start (cortex.md 1.1), and for what cannot work."""
    label = f"{cls.__name__}.{name}"
    method: Any = getattr(cls, name)
    if not callable(method):
        raise PredictorError(f"{label} is not a method: define it with def")
    _check_kind(cls, name, method, label)
    parameters = list(inspect.signature(method).parameters.values())
    if not parameters or parameters[0].name != "self":
        hidden = parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
        hint = ": a decorator hides its arguments, give the wrapper functools.wraps" if hidden else ""
        raise PredictorError(f"the first argument of {label} must be self{hint}")
    nameless = [parameter.name for parameter in parameters[1:] if parameter.kind is parameter.POSITIONAL_ONLY]
    if nameless:
        raise PredictorError(f"{label} takes {', '.join(nameless)} by position, but is given names: remove the /")
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [parameter for parameter in parameters[1:] if parameter.kind not in kinds]
    names = frozenset(parameter.name for parameter in named)
    unknown = {parameter.name for parameter in named if parameter.default is parameter.empty} - allowed
    if unknown:
        raise PredictorError(f"{label} takes {', '.join(sorted(unknown))}; possible are {', '.join(sorted(allowed))}")
    if required - names:
        raise PredictorError(f"{label} must take {', '.join(sorted(required - names))}")
    return names & allowed


def _check_kind(cls: type, name: str, method: Any, label: str) -> None:
    """Refuse a method whose call would not run it."""
    defined = inspect.getattr_static(cls, name)
    if isinstance(defined, (staticmethod, classmethod)):
        raise PredictorError(f"{label} is a {type(defined).__name__}: make it an ordinary method, which takes self")
    if inspect.iscoroutinefunction(method):
        raise PredictorError(
            f"{label} is async, and would never run: define it with def (asyncio.run can await inside)"
        )
    if name != "predict" and (inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)):
        raise PredictorError(f"{label} has a yield, and would never run: only predict may be a generator")


class Predictor:
    """A predictor that was built, and what its methods want to be given.

    Attributes:
        wants: Arguments that ``predict`` names.
        post_wants: Arguments that ``post_predict`` names; None without that method.
    """

    def __init__(self, cls: Any, spec: PredictorSpec, client: Client | None) -> None:
        """Check the class and build the predictor; raises PredictorError, or whatever the user's code raises."""
        client_name = _CLIENT_ARGUMENT[spec.type]
        allowed = frozenset({"config", "job_spec", client_name})
        needs_client = client is not None or spec.type != "python"
        required = frozenset({"config", client_name} if needs_client else {"config"})
        names = _arguments(cls, "__init__", allowed, required)
        if getattr(cls, "predict", None) is None:
            raise PredictorError(f"{cls.__name__} has no method predict")
        self.wants = _arguments(cls, "predict", PREDICT_ARGUMENTS, frozenset())
        self.post_wants = None
        if getattr(cls, "post_predict", None) is not None:
            self.post_wants = _arguments(cls, "post_predict", POST_PREDICT_ARGUMENTS, frozenset())
        values: dict[str, object] = {"config": _plain(spec.config), "job_spec": None}
        if client is not None:
            values[client_name] = client
        self.instance: Any = cls.__new__(cls)
        if isinstance(client, PythonClient):
            client.bind(_load_model(self.instance))
        if client is not None:  # before __init__, which may want a model already
            client.find()
        self.instance.__init__(**{key: value for key, value in values.items() if key in names})
        if client is not None:
            client.start()
        self.predict: Callable[..., Any] = self.instance.predict
        self.post_predict: Callable[..., Any] | None = getattr(self.instance, "post_predict", None)


def _load_model(instance: Any) -> Callable[[str], Any]:
    """The predictor's ``load_model``, mandatory where models are configured (cortex.md 1.1)."""
    cls = type(instance)
    if getattr(cls, "load_model", None) is None:
        raise PredictorError(f"{cls.__name__} has no method load_model, which it needs for predictor.models")
    _arguments(cls, "load_model", frozenset({"model_path"}), frozenset({"model_path"}))
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
        elif part is described and isinstance(error, (ServingError, SyntaxError)):
            part.stack = traceback.StackSummary.from_list([])
        pending += [part.__cause__, part.__context__]
    return "".join(described.format()).rstrip()


def summary(error: BaseException) -> str:
    """The error in one line: its type and message."""
    try:
        text = str(error).strip().splitlines()
    except Exception:  # a predictor's own exceptions may be broken, too
        text = []
    shown = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return shown[:_LONGEST_SUMMARY].encode("utf-8", "backslashreplace").decode()
