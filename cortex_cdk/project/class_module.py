"""Writes the module of one class: its source, and what the source uses of the notebook or module around it.

    class -> definition -> free names -> imports, constants, definitions of their own

Objects such as a trained model are no source, and are refused: they become files of the project. No pickles
(docs/decisions/0065).
"""

from __future__ import annotations

import ast
import logging
import re
import sys
import sysconfig
from collections.abc import Collection, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from cortex_cdk.errors import ProjectError
from cortex_cdk.project.definitions import definition, methods
from cortex_cdk.project.free_names import dotted_names, free_names

_FUTURE_ANNOTATIONS = 0x1000000  # CO_FUTURE_ANNOTATIONS, which only the compiler's headers name
_LONGEST_CONSTANT = 100_000


def class_module(cls: type, class_name: str, files: Collection[str] = ()) -> str:
    """Return the source of a module that defines a class as it is here.

    Args:
        cls: The class.
        class_name: What the module must call it.
        files: The other files of the project, by name: modules of the user's that may be imported.

    Raises:
        ProjectError: The class uses what cannot be written down.
    """
    module = _Module(cls, files)
    module.define(cls, cls.__name__)
    parts = [*sorted(module.imports), *module.constants, *module.definitions]
    if cls.__name__ != class_name:
        parts.append(f"class {class_name}({cls.__name__}):\n    pass\n")
    future = "from __future__ import annotations\n\n" if module.postpones_annotations else ""
    return f"{future}" + _joined(parts)


def _joined(parts: list[str]) -> str:
    text = ""
    for part in parts:
        is_block = part.count("\n") > 1 or part.startswith(("class ", "def ", "@", "async "))
        text += ("\n\n" if is_block and text else "") + part
    return text


class _Module:
    def __init__(self, cls: type, files: Collection[str]) -> None:
        self._cls = cls
        self._files = files
        self._done: set[str] = set()
        self.imports: set[str] = set()
        self.constants: list[str] = []
        self.definitions: list[str] = []
        self.postpones_annotations = False

    def define(self, thing: type | FunctionType, name: str) -> None:
        """Add a definition, below all that it uses."""
        self._done.add(name)
        source, around = definition(thing), _namespace(thing)
        self.postpones_annotations |= any(code.co_flags & _FUTURE_ANNOTATIONS for code in _codes(thing))
        for used in free_names(source):
            if used in around and used not in self._done:
                self._done.add(used)
                self._add(used, around[used], source)
        self.definitions.append(source)

    def _add(self, name: str, value: Any, source: str) -> None:
        if isinstance(value, ModuleType):
            self._import_module(name, value, source)
        elif isinstance(value, type | FunctionType) and value.__module__ == self._cls.__module__:
            if value.__name__ != name:
                raise self._refused(name, value, f"use it by its own name, {value.__name__}")
            self.define(value, name)
        elif home := _home(value):
            self._check_module(home[0])
            self.imports.add(f"from {home[0]} import {home[1]}{f' as {name}' if home[1] != name else ''}\n")
        elif words := _constant(value):
            self.imports |= {f"import {module}\n" for module in ("logging", "re") if words.startswith(f"{module}.")}
            self.constants.append(f"{name} = {words}\n")
        else:
            file = f"{name}.joblib"
            raise self._refused(
                name, value, f'give it to deploy with files={{"{file}": {name}}}, and load it in __init__'
            )

    def _import_module(self, name: str, module: ModuleType, source: str) -> None:
        full = module.__name__
        self._check_module(full)
        top = full.partition(".")[0]
        self.imports.add(f"import {full}\n" if name in (full, top) and full == name else f"import {full} as {name}\n")
        for dotted in dotted_names(source, name):
            below = full + dotted.removeprefix(name)
            if below in sys.modules:
                self.imports.add(f"import {below}\n")

    def _check_module(self, name: str) -> None:
        """Refuse a module of the user's own whose file is no part of the project."""
        top = name.partition(".")[0]
        file = getattr(sys.modules.get(top), "__file__", None)
        given = {each.partition("/")[0].removesuffix(".py") for each in self._files}
        if file is None or top in given or _is_installed(Path(file)):
            return
        path = Path(file).parent if Path(file).name == "__init__.py" else Path(file)
        raise ProjectError(
            f"{self._cls.__name__} imports {top}, a module of your own ({path})",
            hint=f'give it to deploy, too: files={{"{path.name}": "{path}"}}',
        )

    def _refused(self, name: str, value: Any, hint: str) -> ProjectError:
        kind = value.__qualname__ if isinstance(value, type) else f"an object of {type(value).__name__}"
        return ProjectError(f"{self._cls.__name__} uses {name}, {kind}, which no replica has", hint=hint)


def _namespace(thing: type | FunctionType) -> Mapping[str, Any]:
    """What the names around a definition mean: those of its module, and of the functions that it stands in."""
    functions = [thing] if isinstance(thing, FunctionType) else methods(thing)
    around = dict(vars(sys.modules[thing.__module__])) if thing.__module__ in sys.modules else {}
    for function in functions:
        around.update(function.__globals__)
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            if name != "__class__":
                around[name] = cell.cell_contents
    return around


def _codes(thing: type | FunctionType) -> list[CodeType]:
    functions = [thing] if isinstance(thing, FunctionType) else methods(thing)
    return [function.__code__ for function in functions]


def _home(value: Any) -> tuple[str, str] | None:
    """The module that has an object under its own name, as short a name as there is, and that name."""
    name, module = getattr(value, "__name__", None), getattr(value, "__module__", None)
    if not isinstance(name, str) or not isinstance(module, str) or module == "__main__":
        return None
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        candidate = ".".join(parts[:length])
        if getattr(sys.modules.get(candidate), name, None) is value:
            return candidate, name
    return None


def _constant(value: Any) -> str | None:
    """An expression that makes a value anew; None where there is none."""
    if isinstance(value, logging.Logger):
        return f"logging.getLogger({value.name!r})"
    text = repr(value)
    if isinstance(value, re.Pattern):
        return f"re.compile({value.pattern!r}, {value.flags})"
    if len(text) > _LONGEST_CONSTANT:
        return None
    try:
        same = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return text if type(same) is type(value) and same == value else None


def _is_installed(file: Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    paths = sysconfig.get_paths()
    folders = [Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    resolved = file.resolve()
    return "site-packages" in resolved.parts or any(resolved.is_relative_to(folder) for folder in folders)
