"""Finds the names that the statements of a module or class bind, as far as they show without running the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Value = ast.ClassDef | Function | ast.expr | EllipsisType
"""The value of a name; ``...`` for a value that the source does not show."""


@dataclass(frozen=True)
class _Binding:
    name: str
    value: Value
    conditional: bool


@dataclass(frozen=True)
class Bindings:
    """The names that a sequence of statements binds.

    Attributes:
        found: Each binding, in order.
        star: Whether a star import could bind any other name.
        patched: Attributes set on named objects, as in ``PythonPredictor.predict = predict``.
    """

    found: tuple[_Binding, ...]
    star: bool
    patched: frozenset[tuple[str, str]]

    def last(self, name: str) -> Value | None:
        """Return the last value of a name; None for a name that is not bound."""
        return next((binding.value for binding in reversed(self.found) if binding.name == name), None)

    def plain(self, name: str) -> list[ast.ClassDef]:
        """Return the classes of a name that are defined under no condition; if there is none, the last class."""
        classes = [item for item in self.found if item.name == name and isinstance(item.value, ast.ClassDef)]
        always = [item.value for item in classes if not item.conditional and isinstance(item.value, ast.ClassDef)]
        return always or [item.value for item in classes[-1:] if isinstance(item.value, ast.ClassDef)]

    def classes(self) -> list[str]:
        """Return the names of all classes."""
        return [binding.name for binding in self.found if isinstance(binding.value, ast.ClassDef)]

    def opaque(self, name: str) -> bool:
        """Return whether a name that does not show here may be bound all the same."""
        return self.star and not name.startswith("_")

    def patches(self, owner: str, attribute: str) -> bool:
        """Return whether a statement sets this attribute of this object."""
        return (owner, attribute) in self.patched


def bindings(statements: Sequence[ast.stmt]) -> Bindings:
    """Find the names that statements bind.

    Args:
        statements: The statements. Blocks in them (``if``, ``try`` ...) count, functions and classes do not.
    """
    nodes = list(_flat(statements, conditional=False))
    found = tuple(binding for node, conditional in nodes for binding in _bound(node, conditional))
    patched = frozenset(pair for node, _ in nodes for pair in _patches(node))
    return Bindings(found, any(binding.name == "*" for binding in found), patched)


def _flat(statements: Sequence[ast.stmt], *, conditional: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for statement in statements:
        yield statement, conditional
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for _, value in ast.iter_fields(statement):
            for block in value if isinstance(value, list) else []:
                inner = [block] if isinstance(block, ast.stmt) else getattr(block, "body", [])
                yield from _flat(inner if isinstance(inner, list) else [], conditional=True)


def _bound(node: ast.stmt, conditional: bool) -> Iterator[_Binding]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield _Binding(node.name, node, conditional)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield _Binding(alias.asname or alias.name.split(".")[0], ..., conditional)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield _Binding(target.id, _seen(node.value), conditional)
            else:
                yield from (_Binding(name, ..., conditional) for name in _names(target))
    elif isinstance(node, ast.With | ast.AsyncWith | ast.For | ast.AsyncFor):
        yield from (_Binding(name, ..., conditional) for name in _names(node))


def _seen(value: ast.expr) -> Value:
    literal = (ast.Lambda, ast.Constant, ast.List, ast.Dict, ast.Tuple, ast.Set)
    return value if isinstance(value, literal) else ...


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a target stores, or the header of a compound statement."""
    header = (
        [node]
        if isinstance(node, ast.expr)
        else [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
    )
    for part in header:
        for inner in ast.walk(part):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id


def _patches(node: ast.stmt) -> Iterator[tuple[str, str]]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    for target in targets:
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            yield target.value.id, target.attr


def yields(function: Function) -> bool:
    """Return whether a function is a generator: it has a ``yield`` of its own, not only in an inner function."""
    todo: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo += ast.iter_child_nodes(node)
    return False
