"""Reads ``requirements.txt`` and files that it includes: finds the project's files that they name, and mistakes.

The format is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/. pip has no public parser; this
module reads no more than the names of files, and leaves requirements to ``packaging``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cortex_serving.contract import REQUIREMENTS_FILE

from cortex_cdk.errors import Problem
from cortex_cdk.project.source import Named, SourceFile

FILE = REQUIREMENTS_FILE
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:\s+|=|(?<=-\w))(.+)")
_LOCAL = re.compile(r"(?:-e|-f|--editable|--find-links)(?:\s+|=|(?<=-\w))(.+)")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_URL = re.compile(r"(?:[a-z0-9]+\+)?[a-z][a-z0-9]*:.*|git\+.*", re.IGNORECASE)
_NAMED_URL = re.compile(r"[\w.-]+\s*(?:\[[^]]*\])?\s*@")
_ARCHIVES = (".whl", ".tar.gz", ".tar.bz2", ".zip")
_MACHINE_ONLY = "copy it into the project, and write a path relative to the project"


class Requirements:
    """One file of requirements.

    Args:
        file: The file.

    Attributes:
        included: Files of requirements or constraints that the file names.
        local: Packages in the project, and folders of packages, that the file names.
        packages: What the file itself asks for, as its lines have it.
        problems: What is wrong with the file.
    """

    def __init__(self, file: SourceFile) -> None:
        self.included: list[Named] = []
        self.local: list[Named] = []
        self.packages: list[str] = []
        self.problems: list[Problem] = []
        for number, text in _logical_lines(file.text):
            self._read(file, number, text)

    def _read(self, file: SourceFile, line: int, text: str) -> None:
        variable = _VARIABLE.search(text)
        if variable:
            message = f"{variable[0]} is not set while the image is built"
            hint = "write the value, or put the index into a pip.conf that dependencies.sh copies to ~/.config/pip/"
            self.problems.append(file.problem(line, message, hint))
            return
        include, local = _INCLUDE.fullmatch(text), _LOCAL.fullmatch(text)
        if include:
            self._name(file, line, include[1], self.included)
        elif local:
            self._name(file, line, _without_options(local[1]), self.local)
        elif not text.startswith("-"):
            self.packages.append(_without_options(text))
            self._requirement(file, line, self.packages[-1])

    def _requirement(self, file: SourceFile, line: int, text: str) -> None:
        if not _NAMED_URL.match(text) and (_URL.fullmatch(text) or _is_path(text)):
            self._name(file, line, text, self.local)
            return
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            form = "the form is: package, package==1.2 or package>=1.2,<2"
            self.problems.append(file.problem(line, f"{text} is not a requirement", form))
            return
        if requirement.url:
            self._name(file, line, requirement.url, self.local)

    def _name(self, file: SourceFile, line: int, text: str, into: list[Named]) -> None:
        path = text.strip("'\"")
        if path.startswith(("/", "~", "file:")) or re.match(r"[A-Za-z]:[\\/]", path):
            self.problems.append(file.problem(line, f"{path} exists on your machine only", _MACHINE_ONLY))
        elif not _URL.fullmatch(path):
            # Extras and markers are no part of the path.
            into.append(Named(line, re.split(r"\[|\s*;", path)[0]))


def says_nothing(text: str) -> bool:
    """Return whether a requirements file has comments at most."""
    return not any(_logical_lines(text))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines, joined with their continuations and without comments, each with its first line's number."""
    joined, start = "", 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        start = start if joined else number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        content = _COMMENT.sub("", joined + line).strip()
        joined = ""
        if content:
            yield start, content


def _without_options(text: str) -> str:
    """Return a requirement without the options of its installation (``--hash``, ``--config-settings``)."""
    return re.split(r"\s+--", text)[0].strip()


def _is_path(text: str) -> bool:
    name = re.split(r"\[|\s*;", text)[0].strip()
    return (
        name.startswith((".", "/", "~"))
        or name.endswith(_ARCHIVES)
        or bool(re.fullmatch(r"[\w.-]+(?:/[\w.-]+)+/?", name))
    )
