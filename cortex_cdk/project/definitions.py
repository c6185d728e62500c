"""Finds the source of classes and functions that live in this process: of modules, scripts, and cells of a notebook.

``inspect.getsource`` finds no class of a notebook, as it looks for the file of the class's module. Here the class's own
methods tell: their code names the cell, whose text ``linecache`` has, as tracebacks need it.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from types import FunctionType

from cortex_cdk.errors import ProjectError

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definition(thing: type | FunctionType) -> str:
    """Return the source of a class or function, with its decorators, as it would stand in a module.

    Raises:
        ProjectError: The source cannot be found.
    """
    if isinstance(thing, FunctionType):
        return _of_function(thing)
    for text in _texts(thing):
        found = _find(text, thing)
        if found:
            return found
    raise ProjectError(
        f"the source of {thing.__qualname__} cannot be found",
        hint="define it in a cell of a notebook, or in a file that is imported",
    )


def methods(cls: type) -> list[FunctionType]:
    """Return the functions that a class's own body defines, also below decorators such as ``property``."""
    found = []
    for value in vars(cls).values():
        inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
        function = inspect.unwrap(inner) if callable(inner) else inner
        if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{cls.__qualname__}."):
            found.append(function)
    return found


def _of_function(function: FunctionType) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError):
        tree, text = ast.Module([], []), ""
    is_named = tree.body and not isinstance(tree.body[0], ast.Expr | ast.Return)
    if not is_named:
        raise ProjectError(
            f"the source of {function.__qualname__} cannot be found", hint="define it with def, in a cell or a file"
        )
    return text


def _texts(cls: type) -> Iterator[str]:
    """Yield the texts that may define a class, the likeliest first."""
    seen: set[str] = set()
    files = [function.__code__.co_filename for function in methods(cls)]
    module_file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    files += [module_file] if module_file else []
    if not module_file:  # a class of data has no code: look through the cells, the newest first
        files += [name for name in reversed(linecache.cache) if not name.endswith(".py") or "ipykernel" in name]
    for file in files:
        if file not in seen:
            seen.add(file)
            text = "".join(linecache.getlines(file))
            if f"class {cls.__name__}" in text:
                yield text


def _find(text: str, cls: type) -> str | None:
    """Return the source of a class in a text: of several, that of the class's methods, else the last one."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    lines = {function.__code__.co_firstlineno for function in methods(cls)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == cls.__name__]
    own = [node for node in found if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines)]
    if not found:
        return None
    node = (own or found)[-1]
    return _segment(text, node)


def _segment(text: str, node: _Definition) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return textwrap.dedent("".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno])).rstrip() + "\n"
