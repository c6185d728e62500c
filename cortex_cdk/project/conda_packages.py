"""Checks ``conda-packages.txt``, in the format of ``conda list --export``: ``[channel::]name[=version[=build]]``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cortex_serving.contract import CONDA_FILE

from cortex_cdk.errors import Problem
from cortex_cdk.project.python_version import too_old
from cortex_cdk.project.source import SourceFile

FILE = CONDA_FILE
_PACKAGE = re.compile(r"(?:[\w./:-]+::)?(?P<name>[\w.-]+)\s*(?P<version>[=<>!~\[ ].*)?")
_EXACT = re.compile(r"={1,2}\s*(\d+)\.(\d+)")
_FORM = "write one [channel::]package[=version[=build]] a line"


def problems(file: SourceFile) -> Iterator[Problem]:
    """Yield what is wrong with the file."""
    for number, text in _packages(file):
        match = _PACKAGE.fullmatch(text)
        if match is None or text.startswith("-"):
            hint = "name the channel with the package: channel::package" if text.startswith("-c ") else _FORM
            yield file.problem(number, f"{text} is not a conda package", hint)
        elif text.endswith("=pypi_0"):
            pinned = text.removesuffix("=pypi_0").replace("=", "==", 1)
            yield file.problem(
                number, f"{match['name']} comes from PyPI, not from conda", f"put {pinned} into requirements.txt"
            )
        elif match["name"] == "python":
            exact = _EXACT.match(match["version"] or "")
            problem = too_old(file, number, *exact.groups()) if exact else None
            if problem:
                yield problem


def names_python(file: SourceFile) -> bool:
    """Return whether the file says which Python to install."""
    matches = (_PACKAGE.fullmatch(text) for _, text in _packages(file))
    return any(match is not None and match["name"] == "python" for match in matches)


def _packages(file: SourceFile) -> Iterator[tuple[int, str]]:
    for number, line in file.lines:
        text = line.partition("#")[0].strip()
        if text:
            yield number, text
