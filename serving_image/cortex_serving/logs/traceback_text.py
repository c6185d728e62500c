"""Tracebacks with the paths that users know: those in their project, not those of the folder of a replica."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

_LIBRARIES = f"{os.sep}site-packages{os.sep}"


def traceback_text(kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None) -> str:
    """Return an error with its traceback, as ``traceback.format_exception`` does, but with short paths.

    Args:
        kind: The error's type.
        error: The error.
        frames: Where it came from. Paths in the working folder, which is the project's in a replica, begin there.
    """
    if kind is None:  # logging's exc_info=True where there is no error
        return "NoneType: None"
    # The annotations want what Python itself does not have where an error's memory could not be had.
    given: Any = error
    described = traceback.TracebackException(kind, given, frames)
    folder = Path("/")
    with contextlib.suppress(OSError):  # somebody has removed it
        folder = Path.cwd()
    for part in parts(described):
        shorten_paths(part, folder)
    return "".join(described.format()).rstrip()


def parts(described: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield an error, and those that led to it or that it groups, each once."""
    pending: list[traceback.TracebackException | None] = [described]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        pending += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]


def shorten_paths(part: traceback.TracebackException, project: Path) -> None:
    """Let paths in the project begin there, and those of installed packages with ``site-packages``.

    Args:
        part: The error, without those that led to it.
        project: The project folder.
    """
    for frame in part.stack:
        # Python reads the line of code when it is asked for, from the file of that name.
        _ = frame.line
        frame.filename = _short(frame.filename, project)
    if isinstance(file := getattr(part, "filename", None), str):  # the file of a SyntaxError
        part.filename = _short(file, project)


def _short(path: str, project: Path) -> str:
    inside = f"{project}{os.sep}"
    if path.startswith(inside) and _LIBRARIES not in path.removeprefix(inside):
        return path.removeprefix(inside)
    before, found, rest = path.rpartition(_LIBRARIES)
    return f"{found.strip(os.sep)}{os.sep}{rest}" if found and before else path
