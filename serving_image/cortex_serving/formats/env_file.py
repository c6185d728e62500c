"""Reads a project's ``.env``: environment variables of the replica.

python-dotenv parses the file, so that comments, quotes and values of several lines mean here what they mean elsewhere.
The original Cortex let bash read the file; like bash, values in single quotes are taken literally. Unlike bash, only
``${NAME}`` is replaced; for ``$NAME`` and ``$(command)`` there is a warning. The deployer calls the same functions
before anything is created, so a file that it accepts is one that replicas can read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.contract import Variable
from cortex_serving.formats.problem import FormatError, Problem

ENV_FILE = ".env"
MOST_VARIABLE_BYTES = 128 * 1024
"""Of NAME=value and the zero byte after (``MAX_ARG_STRLEN``, execve(2) of Linux)."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SINGLE_QUOTED = re.compile(r"[^=]*=[^\S\r\n]*'")
_OF_A_SHELL = re.compile(r"\$[A-Za-z_(]")
_HINT = "close each quote, and put a value of several lines in double quotes"


@dataclass(frozen=True)
class _Line:
    """One variable of the file.

    Attributes:
        name: The variable's name.
        value: The value before ``${NAME}`` is replaced.
        literal: Whether the value is in single quotes.
    """

    name: str
    value: str
    literal: bool


@dataclass(frozen=True)
class EnvFile:
    """A parsed ``.env``.

    Attributes:
        warnings: Lines that bash would read in another way.
    """

    _lines: tuple[_Line, ...]
    warnings: tuple[Problem, ...] = ()

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the file that are not set from outside.

        Args:
            given: Variables that are set from outside. The file does not override them, and ``${NAME}`` can name them.
        """
        from dotenv.variables import parse_variables

        found: dict[str, str] = {}
        for line in self._lines:
            value = line.value
            if not line.literal:
                known = {**found, **given}
                value = "".join(part.resolve(known) for part in parse_variables(value))
            found[line.name] = value
        return {name: value for name, value in found.items() if name not in given}


def read_env_file(folder: Path) -> EnvFile:
    """Read the ``.env`` of a project; a project without one has no variables.

    Args:
        folder: The project's folder.

    Raises:
        FormatError: The file cannot be read, or a line has no meaning. No message shows content, which may be secret.
    """
    file = folder / ENV_FILE
    if not file.is_file():
        return EnvFile(())
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FormatError([Problem(file, None, None, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise FormatError([Problem(file, line, None, "", "is not UTF-8 text", "save the file as UTF-8")]) from None
    return _parse(file, text)


def wrong_variable(name: Any, value: Any) -> str | None:
    """Return why this cannot be an environment variable of a replica; None if it can.

    Args:
        name: The name.
        value: The value.
    """
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        return "is not the name of a variable"
    if name.startswith(Variable.PREFIX):
        return f"is reserved: names that start with {Variable.PREFIX} are the serving program's own"
    if not isinstance(value, str):
        return "must be text: put numbers, true and false in quotes"
    return "contains a zero byte" if "\0" in value else None


def too_large(name: str, value: str) -> str | None:
    """Return why no process can be given this environment variable; None if one can."""
    size = len(f"{name}={value}".encode("utf-8", "surrogatepass")) + 1
    if size <= MOST_VARIABLE_BYTES:
        return None
    return f"takes {size:,} bytes, and a process can be given {MOST_VARIABLE_BYTES:,}: put the value into a file"


def _parse(file: Path, text: str) -> EnvFile:
    from dotenv.parser import parse_stream

    lines: list[_Line] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for binding in parse_stream(io.StringIO(text)):
        written, name = binding.original.string, binding.key
        number = binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
        if name is None and not binding.error:  # a comment or an empty line
            continue
        if name is None or binding.value is None or not _NAME.fullmatch(name):
            problems.append(Problem(file, number, None, "", "is not NAME=value", _HINT))
            continue
        if reason := wrong_variable(name, binding.value) or too_large(name, binding.value):
            problems.append(Problem(file, number, None, name, reason))
        literal = _SINGLE_QUOTED.match(written) is not None
        if not literal and _OF_A_SHELL.search(binding.value):
            message = "the $ stays a $ here, where bash would replace what follows"
            hint = "write ${NAME} for a variable; put the value in single quotes if you mean a $"
            warnings.append(Problem(file, number, None, name, message, hint))
        lines.append(_Line(name, binding.value, literal))
    if problems:
        raise FormatError(problems)
    return EnvFile(tuple(lines), tuple(warnings))
