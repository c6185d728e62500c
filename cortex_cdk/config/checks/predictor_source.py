"""The predictor class, checked by parsing its file: nothing of the project is imported or run.

The rules are those that a replica checks when it starts (reference ``cortex.md`` 1.1), so that a mistake is found
before anything is created. What cannot be seen from the file alone (a base class from elsewhere, a decorator that may
change the signature, a class made by a call) is trusted.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from cortex_serving.predictors.predictor_type import HANDLE_OTHERS, HANDLE_POST, HANDLER, Method
from cortex_serving.predictors.types import predictor_types

from cortex_cdk.config.checks.python_bindings import Bindings, Function, Value, bindings, yields
from cortex_cdk.config.sections.predictor import Predictor
from cortex_cdk.errors import Problem

# Decorators that leave the signature as it is.
_TRANSPARENT = ("no_grad", "inference_mode", "override", "final")
# Arguments that versions of the original passed.
_INSTEAD = {
    "metrics_client": "metrics of your own are not here: log what you measure",
    "proto_module_pb2": "there is no gRPC: answer JSON or bytes",
    "module_proto_pb2": "there is no gRPC: answer JSON or bytes",
}
_NO_METHODS = ("staticmethod", "classmethod", "property", "cached_property")


def check_source(file: Path, predictor: Predictor) -> list[Problem]:
    """The problems of a predictor's file, each with its place.

    Args:
        file: The Python file; it exists.
        predictor: The section that names it.
    """
    try:
        source = importlib.util.decode_source(file.read_bytes())
        tree = _parse(source)
    except OSError as error:
        return [Problem(file, None, None, "", f"cannot be read: {error.strerror}")]
    except SyntaxError as error:
        version = f"checked with Python {sys.version_info.major}.{sys.version_info.minor}"
        return [Problem(file, error.lineno, error.offset, "", f"is not valid Python: {error.msg}", version)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [Problem(file, None, None, "", f"cannot be parsed as Python: {error or 'nested too deeply'}")]
    return list(_Check(file, source.split("\n"), bindings(tree.body), predictor).problems())


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        # Finds what the grammar alone does not, such as two arguments of one name. Runs nothing.
        compile(source, "<predictor>", "exec", dont_inherit=True)
    return tree


class _Check:
    """The rules of one predictor type, on one file."""

    def __init__(self, file: Path, lines: list[str], module: Bindings, predictor: Predictor) -> None:
        self._file = file
        self._lines = lines
        self._module = module
        self._kind = predictor.kind
        own = predictor.kind.class_name
        self._handler = module.last(own) is None and module.last(HANDLER) is not None
        self._name = HANDLER if self._handler else own
        self._with_models = predictor.has_models

    def problems(self) -> Iterator[Problem]:
        found = self._module.last(self._name)
        if found is None:
            if not self._module.opaque(self._name):
                yield self._no_class()
            return
        if not isinstance(found, ast.ClassDef):
            return  # Imported, assigned or made by a function: not visible here.
        first, *more = self._module.plain(self._name)
        if more:
            yield self._problem(more[-1], self._name, f"is defined twice; the first one is in line {first.lineno}")
        for rule in self._kind.methods(with_models=self._with_models, handler=self._handler):
            yield from self._method(found, rule)
        for name in HANDLE_OTHERS if self._handler else ():
            unused = bindings(found.body).last(name)
            if isinstance(unused, Function):
                message = "is never called: requests come by POST, and GET describes the API"
                yield self._problem(unused, f"{self._name}.{name}", message, f"do its work in {HANDLE_POST.name}")

    def _no_class(self) -> Problem:
        message = f"defines no class {self._name}, which predictor.type {self._kind.name} needs"
        for kind in predictor_types().values():
            if isinstance(self._module.last(kind.class_name), ast.ClassDef):
                hint = f"there is {kind.class_name}: did you mean type {kind.name}?"
                return Problem(self._file, None, None, "", message, hint)
        close = difflib.get_close_matches(self._name, self._module.classes(), n=1)
        return Problem(self._file, None, None, "", message, f"rename {close[0]} to {self._name}" if close else None)

    def _method(self, cls: ast.ClassDef, rule: Method) -> Iterator[Problem]:
        label = f"{self._name}.{rule.name}"
        found = self._look_up(cls, rule.name, ())
        if found is None:
            if rule.required:
                yield self._problem(cls, self._name, f"has no method {rule.name}", f"define {rule.example}")
        elif isinstance(found, ast.Constant | ast.List | ast.Dict | ast.Tuple | ast.Set):
            yield self._problem(found, label, "must be a method; define it with def")
        elif isinstance(found, Function):
            yield from self._signature(found, label, rule)

    def _look_up(self, cls: ast.ClassDef, method: str, seen: tuple[ast.ClassDef, ...]) -> Value | None:
        """What the class has under a name: a node, or ``...`` for something that cannot be seen; None if nothing."""
        body = bindings(cls.body)
        found = body.last(method)
        if found is not None:
            return found
        if cls.decorator_list or cls.keywords or cls in seen or body.opaque(method):
            return ...
        if self._module.patches(cls.name, method):
            return ...
        for base in cls.bases:
            if isinstance(base, ast.Name) and base.id == "object" and self._module.last("object") is None:
                continue
            parent = self._module.last(base.id) if isinstance(base, ast.Name) else ...
            inherited = self._look_up(parent, method, (*seen, cls)) if isinstance(parent, ast.ClassDef) else ...
            if inherited is not None:
                return inherited
        return None

    def _signature(self, function: Function, label: str, rule: Method) -> Iterator[Problem]:
        decorators = [_last_name(node) for node in getattr(function, "decorator_list", [])]
        wrong = next((name for name in decorators if name in _NO_METHODS), None)
        if wrong:
            yield self._problem(function, label, f"must be an ordinary method, not a {wrong}", f"remove @{wrong}")
            return
        if any(name not in _TRANSPARENT for name in decorators):
            return
        streams = yields(function)
        if streams and not rule.may_yield:
            yield self._problem(function, label, "has a yield, and would never run: only predict may be a generator")
            return
        if isinstance(function, ast.AsyncFunctionDef) and not streams:
            hint = "replicas run predictions in threads; more of them with threads_per_process"
            yield self._problem(function, label, "must not be async; define it with def", hint)
            return
        yield from self._arguments(function, label, rule)

    def _arguments(self, function: Function, label: str, rule: Method) -> Iterator[Problem]:
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if not positional or positional[0].arg != "self":
            yield self._problem(positional[0] if positional else function, label, "must take self first")
            return
        for argument in arguments.posonlyargs[1:]:
            yield self._problem(
                argument, label, f"takes {argument.arg} by position only, but it is passed by name", "remove /"
            )
        defaults = _with_default(arguments)
        # The client of a type that needs models is always passed.
        client = None if self._kind.needs_models else self._kind.client_name(handler=self._handler)
        named = [*positional[1:], *arguments.kwonlyargs]
        for argument in named:
            if argument.arg not in rule.allowed and argument.arg not in defaults:
                yield self._unknown(argument, label, rule)
            elif argument.arg == client and not self._with_models and argument.arg not in defaults:
                message = f"takes {client}, which is passed only when models are configured"
                yield self._problem(argument, label, message, "set predictor.models, or remove the argument")
        for name in rule.needed:
            if name not in [argument.arg for argument in named]:
                why = " (models are configured)" if name == client else ""
                yield self._problem(function, label, f"must take {name}{why}")

    def _unknown(self, argument: ast.arg, label: str, rule: Method) -> Problem:
        close = difflib.get_close_matches(argument.arg, rule.allowed, n=1)
        message = f"takes {argument.arg}, which is never passed; allowed are {', '.join(rule.allowed)}"
        hint = _INSTEAD.get(argument.arg) or (f"did you mean {close[0]}?" if close else None)
        return self._problem(argument, label, message, hint)

    def _problem(
        self, node: ast.stmt | ast.expr | ast.arg, path: str, message: str, hint: str | None = None
    ) -> Problem:
        # The parser counts columns in bytes of UTF-8.
        before = self._lines[node.lineno - 1].encode()[: node.col_offset].decode(errors="replace")
        return Problem(self._file, node.lineno, len(before) + 1, path, message, hint)


def _last_name(decorator: ast.expr) -> str:
    """``no_grad`` of ``@torch.no_grad()``."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _with_default(arguments: ast.arguments) -> set[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    names = {argument.arg for argument in positional[len(positional) - len(arguments.defaults) :]}
    names |= {
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    return names
