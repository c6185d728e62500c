"""Checks ``dependencies.sh``, and finds the files of the project that it names."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from cortex_serving.contract import DEPENDENCIES_SCRIPT

from cortex_cdk.errors import Problem
from cortex_cdk.project.source import SourceFile

FILE = DEPENDENCIES_SCRIPT
_WORD = re.compile(r"[\w.,/@%+~*?\[\]-]+")
# Prefixes by which scripts name their own folder. The script runs in the project's folder, so they can go.
_HERE = re.compile(r"\$\{?PWD\}?/|\$\((?:dirname|pwd)[^)]*\)/")
_PROJECT_FOLDER = "/mnt/project"
_SYNTAX_ERROR = re.compile(r".*?: line (\d+): (.*)")


def problems(file: SourceFile) -> Iterator[Problem]:
    """Yield what is wrong with a script, without running it."""
    if "\r" in file.text:
        first = file.text[: file.text.index("\r")].count("\n") + 1
        yield file.problem(
            first, "has Windows line ends (CRLF), which bash reads as parts of commands", "save the file with LF"
        )
        return
    for number, line in file.lines:
        if _PROJECT_FOLDER in line.partition("#")[0]:
            message = f"{_PROJECT_FOLDER} is empty while the image is built"
            yield file.problem(number, message, "name files relative to the project, as in: cp pip.conf ~/.config/pip/")
    yield from _syntax_problems(file)


def named_files(file: SourceFile, names: set[str]) -> set[str]:
    """Find the files of the project that a script names: as paths, folders or patterns.

    Args:
        file: The script.
        names: Paths of the project's files.

    Returns:
        The paths that some word of the script names.
    """
    words: set[str] = set()
    for _, line in file.lines:
        code = "" if line.lstrip().startswith("#") else _HERE.sub("", line)
        words.update(word.removeprefix("./").rstrip("/") for word in _WORD.findall(code))
    words -= {"", ".", "..", "*"}
    patterns = [word for word in words if set("*?[") & set(word)]
    found = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    return found | {
        name for name in names if name in words or any(f"{parent}" in words for parent in Path(name).parents)
    }


def _syntax_problems(file: SourceFile) -> Iterator[Problem]:
    bash = shutil.which("bash")
    if bash is None:
        return
    done = subprocess.run(  # noqa: S603 - -n reads the script and runs nothing
        [bash, "-n"], input=file.text, capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    match = _SYNTAX_ERROR.match(done.stderr)
    if done.returncode and match:
        yield file.problem(int(match[1]), match[2], "see: bash -n dependencies.sh")
