"""Reads text files of the project, and words the problems of their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.errors import ConfigError, Problem

_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Named:
    """A path in the project that a line names.

    Attributes:
        line: Number of the line, from 1.
        path: The path as the line has it.
    """

    line: int
    path: str


@dataclass(frozen=True)
class SourceFile:
    """One text file of the project.

    Attributes:
        name: Path in the project.
        shown: Path for messages, relative to the working folder if possible.
        text: The content.
    """

    name: str
    shown: Path
    text: str

    @property
    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line with its number, from 1."""
        return enumerate(self.text.splitlines(), start=1)

    def problem(self, line: int | None, message: str, hint: str | None = None) -> Problem:
        """Return a problem of a line; of the whole file if ``line`` is None."""
        return Problem(self.shown, line, None, "", message, hint)


def read_source(root: Path, name: str) -> SourceFile:
    """Read a text file of the project.

    Args:
        root: The project's folder.
        name: The file's path in the project.

    Raises:
        ConfigError: The file cannot be read, or is not UTF-8 text.
    """
    shown = _shown(root / name)
    try:
        content = (root / name).read_bytes()
        if content.startswith(_BYTE_ORDER_MARKS):
            raise _refused(shown, "starts with a byte order mark")
        text = content.decode()
    except OSError as error:
        raise _refused(shown, f"cannot be read: {error.strerror}", hint=None) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(shown, "is not UTF-8 text", line) from error
    if "\0" in text:
        raise _refused(shown, "is not text")
    return SourceFile(name, shown, text)


def _refused(
    shown: Path, message: str, line: int | None = None, hint: str | None = "save it as UTF-8 without a byte order mark"
) -> ConfigError:
    return ConfigError([Problem(shown, line, None, "", message, hint)])


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
