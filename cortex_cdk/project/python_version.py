"""Reads ``.python-version``, the file of pyenv and uv that says which Python a project needs."""

from __future__ import annotations

import re

from cortex_cdk.errors import Problem
from cortex_cdk.project.source import SourceFile

FILE = ".python-version"
OLDEST = (3, 10)
"""The oldest Python that can run the serving program (``requires-python`` of ``serving_image``)."""
_VERSION = re.compile(r"(?:c?python-?)?(\d+)\.(\d+)(\.\d+)?")


def wanted_version(file: SourceFile) -> tuple[str | None, list[Problem], list[Problem]]:
    """Read the version that ``.python-version`` asks for.

    Args:
        file: The file; its first line with a version counts.

    Returns:
        The version (``3.12`` or ``3.12.4``) or None, problems, and warnings: pyenv also writes names of virtual
        environments there, which mean nothing here.
    """
    for number, line in file.lines:
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _VERSION.fullmatch(text)
        if match is None:
            return None, [], [file.problem(number, f"{text} is not a version such as 3.12, and is ignored")]
        problem = too_old(file, number, match[1], match[2])
        return f"{match[1]}.{match[2]}{match[3] or ''}", [problem] if problem else [], []
    return None, [], []


def too_old(file: SourceFile, line: int, major: str, minor: str) -> Problem | None:
    """Return the problem of a version that is too old for the serving program; None for other versions."""
    if (int(major), int(minor)) >= OLDEST:
        return None
    oldest = ".".join(map(str, OLDEST))
    return file.problem(line, f"Python {major}.{minor} is too old: replicas need {oldest} or newer", f"try {oldest}")
