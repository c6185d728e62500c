"""The user's predictor: its class checked and built, its methods called with the arguments that they name."""

from __future__ import annotations

import inspect
import logging
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_serving.errors import PredictorError, ServingError
from cortex_serving.logs.traceback_text import parts, shorten_paths
from cortex_serving.predictors.predictor_type import HANDLE_POST, HANDLER, POST_PREDICT, PREDICT, Client, Method
from cortex_serving.predictors.types import predictor_type
from cortex_serving.spec import PredictorSpec

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary

logger = logging.getLogger(__name__)

ONE_STREAM = (
    "predict answers with a stream, and threads_per_process is 1: each stream keeps other requests of its process "
    "waiting while it is produced; set predictor.threads_per_process to the streams that a process sends at once"
)
_LONGEST_SUMMARY = 1000  # characters: the summary goes into one line, and into the replica's shared state
_OWN = str(Path(__file__).parents[1]) + os.sep


def _arguments(cls: type, rule: Method) -> frozenset[str]:
    """Names of arguments that a method takes, checked as Cortex did at replica start (cortex.md 1.1), and more.

    Raises:
        PredictorError: The class lacks the method, or a call of it would fail or not run it.
    """
    label = f"{cls.__name__}.{rule.name}"
    method: Any = getattr(cls, rule.name, None)
    if method is None:
        raise PredictorError(f"{cls.__name__} has no method {rule.name}: define {rule.example}")
    if not callable(method):
        raise PredictorError(f"{label} is not a method: define it with def")
    _check_kind(cls, rule, method, label)
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
    unknown = {parameter.name for parameter in named if parameter.default is parameter.empty} - set(rule.allowed)
    if unknown:
        allowed = ", ".join(sorted(rule.allowed))
        raise PredictorError(f"{label} takes {', '.join(sorted(unknown))}; possible are {allowed}")
    missing = set(rule.needed) - names
    if missing:
        raise PredictorError(f"{label} must take {', '.join(sorted(missing))}")
    return names & set(rule.allowed)


def _check_kind(cls: type, rule: Method, method: Any, label: str) -> None:
    """Refuse a method whose call would not run it."""
    defined = inspect.getattr_static(cls, rule.name)
    if isinstance(defined, (staticmethod, classmethod)):
        raise PredictorError(f"{label} is a {type(defined).__name__}: make it an ordinary method, which takes self")
    if inspect.iscoroutinefunction(method):
        raise PredictorError(
            f"{label} is async, and would never run: define it with def (asyncio.run can await inside)"
        )
    if not rule.may_yield and (inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)):
        raise PredictorError(f"{label} has a yield, and would never run: only predict may be a generator")


def tell_of_streams(predict: Callable[..., Any]) -> bool:
    """Warn about a predictor whose answers are streams, on one thread; return whether that was so.

    Args:
        predict: The method that answers requests. It may also return a stream, which shows only then.
    """
    method = inspect.unwrap(predict)
    streams = inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)
    if streams:
        logger.warning(ONE_STREAM)
    return streams


class Predictor:
    """A predictor that was built, and the arguments that its methods want.

    Args:
        cls: The class, out of the user's file.
        spec: The predictor's section.
        open_library: Opens the library of the configured models; None where none are configured.

    Attributes:
        instance: The built predictor.
        predict: The method that answers requests: ``predict``, or ``handle_post`` of a ``Handler``.
        is_handler: Whether the class is a ``Handler``.
        wants: Arguments that this method names.
        post_wants: Arguments that ``post_predict`` names; None without that method.
        metadata: Tells about the models, for the answer to GET.

    Raises:
        PredictorError: The class breaks a rule of its type, or its type needs models and none are configured.
        Exception: Whatever the user's code, or loading a model, raises.
    """

    def __init__(self, cls: Any, spec: PredictorSpec, open_library: OpenLibrary | None) -> None:
        kind = predictor_type(spec.type)
        if kind.needs_models and open_library is None:
            raise PredictorError(f"{kind.class_name} needs predictor.model_path or predictor.models")
        handler = cls.__name__ == HANDLER or (not hasattr(cls, PREDICT.name) and hasattr(cls, HANDLE_POST.name))
        self.is_handler = handler
        predict = HANDLE_POST if handler else PREDICT
        wanted = {
            method: _arguments(cls, method)
            for method in kind.methods(with_models=open_library is not None, handler=handler)
            if method.required or getattr(cls, method.name, None) is not None
        }
        self.wants = wanted[predict]
        self.post_wants = wanted.get(POST_PREDICT)
        self.instance: Any = cls.__new__(cls)
        values: dict[str, object] = {"config": _plain(spec.config), "job_spec": None}
        client: Client | None = None
        if open_library is not None:
            values[kind.client_name(handler=handler)] = client = kind.make_client(open_library, self.instance)
            client.find()  # before __init__, which may want a model already
        init = next(method for method in wanted if method.name == "__init__")
        self.instance.__init__(**{name: value for name, value in values.items() if name in wanted[init]})
        if client is not None:
            client.start()
        self.metadata: Callable[[], dict[str, Any]] = dict if client is None else client.metadata
        self.predict: Callable[..., Any] = getattr(self.instance, predict.name)
        self.post_predict: Callable[..., Any] | None = None if handler else getattr(self.instance, "post_predict", None)

    def take_apart(self, value: Any) -> tuple[Any, Callable[[], Any] | None]:
        """Divide what a ``Handler`` returned into the result and, of a pair with one, the callback (Cortex 0.34)."""
        if self.is_handler and isinstance(value, tuple) and len(value) == 2 and callable(value[1]):
            return value
        return value, None


def _plain(value: Any) -> Any:
    """Copy configuration deeply, as ordinary dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def user_traceback(error: BaseException, project: Path) -> str:
    """Return an error's traceback from the user's code on, without frames of this program (a call of ``get_model``).

    Frames of libraries that the user's code called stay: they tell what went wrong. Paths in the project begin there.

    Args:
        error: The error.
        project: The project folder.
    """
    described = traceback.TracebackException.from_exception(error)
    for part in parts(described):
        first = next((n for n, frame in enumerate(part.stack) if frame.filename.startswith(str(project))), None)
        if first is not None or part is not described:
            # A cause that this program met in a library has no frame of the user's, and ours tell nothing.
            theirs = [frame for frame in part.stack[first:] if not frame.filename.startswith(_OWN)]
            part.stack = traceback.StackSummary.from_list(theirs)
        elif isinstance(error, (ServingError, SyntaxError)):
            part.stack = traceback.StackSummary.from_list([])
        shorten_paths(part, project)
    return "".join(described.format()).rstrip()


def summary(error: BaseException) -> str:
    """Return an error in one line of at most 1000 characters: its type and the first line of its message."""
    try:
        text = str(error).strip().splitlines()
    except Exception:  # a predictor's own exceptions may be broken, too
        text = []
    shown = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return shown[:_LONGEST_SUMMARY].encode("utf-8", "backslashreplace").decode()
