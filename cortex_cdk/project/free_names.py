"""Finds the names that a piece of source takes from around it."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator


def free_names(source: str) -> list[str]:
    """Return the global names that a definition uses and does not define, in alphabetical order; built-in ones not.

    Args:
        source: A class, a function, or an assignment.
    """
    table = symtable.symtable(source, "<definition>", "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    # Annotations are no part of the tables if they are not evaluated.
    used = {*_globals(table), *_in_annotations(ast.parse(source))}
    return sorted(name for name in used - defined if not hasattr(builtins, name))


def dotted_names(source: str, root: str) -> set[str]:
    """Return what a definition uses below a name: ``sklearn.linear_model`` of ``sklearn.linear_model.Lasso()``.

    Args:
        source: The definition.
        root: The name that the others begin with.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = _dotted(node)
        if names[:1] == [root]:
            found |= {".".join(names[:length]) for length in range(2, len(names) + 1)}
    return found


def _dotted(node: ast.AST) -> list[str]:
    """``["a", "b", "c"]`` of ``a.b.c``; nothing of other expressions."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (left := _dotted(node.value)):
        return [*left, node.attr]
    return []


def imported_modules(source: str) -> set[str]:
    """Return the top-level modules that a source imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    is_module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (is_module or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)


def _in_annotations(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(annotation, ast.AST):
                yield from (part.id for part in ast.walk(annotation) if isinstance(part, ast.Name))
