"""A mistake in a file of the user's, with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex_serving.errors import ServingError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file, or worth a warning.

    Attributes:
        file: The file, as the user would name it.
        line: Number of the line, from 1; None for a problem of the whole file.
        column: Number of the column, from 1, or None.
        path: Path of the field, such as ``iris.autoscaling.min_replicas``; empty for the whole file.
        message: What is wrong and what is allowed.
        hint: What to do, such as the nearest field name.
    """

    file: Path
    line: int | None
    column: int | None
    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        subject = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {subject}{self.message}{hint}"


class FormatError(ServingError):
    """A file cannot be read.

    Args:
        problems: What is wrong, at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
