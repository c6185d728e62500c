"""Reads which files of a folder do not belong to the project: ``.cortexignore``, or else what Git is told to ignore.

Git's rules count where the project has no ``.cortexignore``: those of the ``.gitignore`` files in the project and in
the folders around the project, up to the root of the repository (git-scm.com, "gitignore").
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path, PurePosixPath

import pathspec

from cortex_cdk.errors import ProjectError

IGNORE_FILE = ".cortexignore"
GIT_IGNORE_FILE = ".gitignore"


def ignore_file(root: Path) -> str:
    """Return the name of the file whose rules count in a project, for messages."""
    is_git = (root / GIT_IGNORE_FILE).is_file() and not (root / IGNORE_FILE).is_file()
    return GIT_IGNORE_FILE if is_git else IGNORE_FILE


class IgnoreRules:
    """The rules of one project.

    Args:
        root: The project's folder.

    Raises:
        ProjectError: ``.cortexignore`` cannot be read or has an invalid pattern.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        file = root / IGNORE_FILE
        self._own = _read(file) if file.is_file() else None
        self._read: dict[Path, pathspec.GitIgnoreSpec | None] = {}

    def match(self, name: str) -> bool:
        """Return whether a rule leaves out a path in the project; the path of a folder ends with a slash.

        Raises:
            ProjectError: A ``.gitignore`` cannot be read or has an invalid pattern.
        """
        if self._own is not None:
            return self._own.match_file(name)
        # The rules of the nearest folder count most, and the last one that fits decides.
        inside = [self._root / parent for parent in PurePosixPath(name.rstrip("/")).parents]
        for folder in (*inside, *self._around):
            decision = self._decision(folder, name)
            if decision is not None:
                return decision
        return False

    def _decision(self, folder: Path, name: str) -> bool | None:
        if folder not in self._read:
            file = folder / GIT_IGNORE_FILE
            self._read[folder] = _read(file) if file.is_file() else None
        rules = self._read[folder]
        path = (self._root / name).relative_to(folder).as_posix() + ("/" if name.endswith("/") else "")
        return rules.check_file(path).include if rules else None

    @cached_property
    def _around(self) -> tuple[Path, ...]:
        """The folders around the project that belong to the same repository, the nearest first."""
        if (self._root / ".git").exists():
            return ()
        for count, folder in enumerate(self._root.parents, start=1):
            if (folder / ".git").exists():
                around = tuple(self._root.parents)[:count]
                return () if self._is_ignored(around) else around
        return ()

    def _is_ignored(self, around: tuple[Path, ...]) -> bool:
        """Return whether Git ignores the project as a whole: then Git's rules say nothing about its files."""
        return any(self._decision(folder, "./") for folder in around)


def _read(file: Path) -> pathspec.GitIgnoreSpec:
    try:
        return pathspec.GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} cannot be read: {error}", hint="save it as UTF-8 text") from error
    except (ValueError, re.error) as error:
        hint = "correct it; the syntax is that of .gitignore"
        raise ProjectError(f"{file} has an invalid pattern: {error}", hint=hint) from error
