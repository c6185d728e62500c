"""``dependencies.sh``: what is wrong with it, and which files of the project it names."""

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
# The ways of a script to say "here"; words are relative to the project anyway.
_HERE = re.compile(r"\$\{?PWD\}?/|\$\((?:dirname|pwd)[^)]*\)/")
_PROJECT_FOLDER = "/mnt/project"
_SYNTAX_ERROR = re.compile(r".*?: line (\d+): (.*)")


def problems(file: SourceFile) -> Iterator[Problem]:
    """What is wrong with a script. It is read, not run."""
    if "\r" in file.text:
        first = file.text[: file.text.index("\r")].count("\n") + 1
        yield file.problem(
            first, "has Windows line ends (CRLF), which bash takes for a part of the commands", "save it with LF"
        )
        return
    for number, line in file.lines:
        if _PROJECT_FOLDER in line.partition("#")[0]:
            message = f"{_PROJECT_FOLDER} is empty while the image is built"
            yield file.problem(number, message, "name files relative to the project, as in: cp pip.conf ~/.config/pip/")
    yield from _syntax_problems(file)


def named_files(file: SourceFile, names: set[str]) -> set[str]:
    """The files of the project that a script names, word by word: as paths, folders or patterns.

    Args:
        names: The files of the project.
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
