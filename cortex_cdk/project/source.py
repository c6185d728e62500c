"""A text file of the project that an image is built from, and the problems of its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.errors import ConfigError, Problem

_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Named:
    """Something of the project that a line names.

    Attributes:
        line: The 1-based line.
        path: As it is written, relative to the project.
    """

    line: int
    path: str


@dataclass(frozen=True)
class SourceFile:
    """One file.

    Attributes:
        name: Path in the project.
        shown: The file, as the user would name it.
        text: Its content.
    """

    name: str
    shown: Path
    text: str

    @property
    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line with its 1-based number."""
        return enumerate(self.text.splitlines(), start=1)

    def problem(self, line: int | None, message: str, hint: str | None = None) -> Problem:
        """Something that is wrong with a line (with the whole file, where that is None)."""
        return Problem(self.shown, line, None, "", message, hint)


def read_source(root: Path, name: str) -> SourceFile:
    """Read a text file of the project.

    Raises:
        ConfigError: It cannot be read, or is not UTF-8.
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
