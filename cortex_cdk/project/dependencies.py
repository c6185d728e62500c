"""Collects the files of a project that its image is built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cortex_cdk.errors import ConfigError, Problem
from cortex_cdk.project import conda_packages, python_version, requirements_file, shell_script
from cortex_cdk.project.archive import ProjectFile, ProjectFiles
from cortex_cdk.project.ignore_rules import ignore_file
from cortex_cdk.project.requirements_file import Requirements
from cortex_cdk.project.source import Named, SourceFile, read_source

UV_FILE = "uv.toml"
"""uv's own configuration: where packages come from (uv's "Configuration files")."""
INSTALLED = (requirements_file.FILE, conda_packages.FILE, shell_script.FILE, UV_FILE)
"""Names of the files that say what to install, and how."""


@dataclass(frozen=True)
class DependencyFile:
    """A file that an image is built from.

    Attributes:
        content: The file's bytes.
        executable: Whether the file's owner may execute it.
    """

    content: bytes
    executable: bool


@dataclass(frozen=True)
class Dependencies:
    """Everything that a project installs.

    Attributes:
        files: Files by their paths in the project; ``requirements.txt`` is always there.
        python: The version of Python that ``.python-version`` asks for, such as ``3.12``; None without such a file, or
            if conda installs Python.
        warnings: Lines that have no effect, or a cost.
        packages: What ``requirements.txt``, and the files that it includes, ask for, as their lines have it.
    """

    files: Mapping[str, DependencyFile]
    python: str | None
    warnings: tuple[Problem, ...]
    packages: tuple[str, ...] = ()


NO_DEPENDENCIES = Dependencies({}, None, ())
"""The dependencies of a project whose images are all made by the user."""


def read_dependencies(project: ProjectFiles) -> Dependencies:
    """Collect and check the files that a project's image is built from. Runs none of them.

    Args:
        project: The project's files.

    Returns:
        The dependencies.

    Raises:
        ConfigError: All problems of these files, with file and line.
    """
    return _Reader(project).read()


class _Reader:
    def __init__(self, project: ProjectFiles) -> None:
        self._root = project.root
        self._project = {file.name: file for file in project.files}
        self._carried: set[str] = set()
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._packages: list[str] = []

    def read(self) -> Dependencies:
        found = {name: read_source(self._root, name) for name in INSTALLED if (self._root / name).is_file()}
        if requirements_file.FILE in found:
            self._follow(found[requirements_file.FILE])
        if conda_packages.FILE in found:
            self._problems += conda_packages.problems(found[conda_packages.FILE])
        if shell_script.FILE in found:
            self._script(found[shell_script.FILE])
        python = self._python(found.get(conda_packages.FILE))
        if self._problems:
            raise ConfigError(sorted(self._problems, key=lambda problem: (problem.file.name, problem.line or 0)))
        own = {name: DependencyFile(_plain(file), executable=False) for name, file in found.items()}
        own.setdefault(requirements_file.FILE, DependencyFile(b"", executable=False))
        named = {name: _content(self._project[name]) for name in self._carried - own.keys()}
        return Dependencies({**named, **own}, python, tuple(self._warnings), tuple(self._packages))

    def _follow(self, file: SourceFile) -> None:
        """Carry the files that a requirements file names, and the files that these name in turn."""
        requirements = Requirements(file)
        self._problems += requirements.problems
        self._packages += requirements.packages
        folder = PurePosixPath(file.name).parent
        for named in requirements.included:
            # pip looks for these beside the file that names them, and for packages in the current folder.
            for name in self._files_at(file, named, folder):
                if name not in self._carried:
                    self._carried.add(name)
                    self._follow(read_source(self._root, name))
        for named in requirements.local:
            names = set(self._files_at(file, named, PurePosixPath()))
            self._carried |= names
            if any(name.endswith(".py") for name in names):
                message = f"{named.path} is installed into the image: each change of its files needs a new image"
                hint = "predictor.python_path imports a folder without installing it"
                self._warnings.append(file.problem(named.line, message, hint))

    def _files_at(self, file: SourceFile, named: Named, folder: PurePosixPath) -> Iterator[str]:
        """Yield the name of the file at a path, or the names of all files in the folder there."""
        path = _normal(folder / named.path)
        if path is None:
            problem = file.problem(named.line, f"{named.path} leads out of the project", "copy it into the project")
            self._problems.append(problem)
            return
        prefix = "" if path == "." else f"{path}/"
        names = [name for name in self._project if name == path or name.startswith(prefix)]
        if not names:
            exists = (self._root / path).exists()
            reason = (
                f"is left out of the project (hidden, or in {ignore_file(self._root)})" if exists else "does not exist"
            )
            hint = None if exists else "paths are relative to the project"
            self._problems.append(file.problem(named.line, f"{named.path} {reason}", hint))
        yield from names

    def _script(self, file: SourceFile) -> None:
        self._problems += shell_script.problems(file)
        fresh = shell_script.named_files(file, set(self._project)) - self._carried
        self._carried |= fresh
        for name in sorted(fresh):
            if name.endswith(".sh"):
                self._script(read_source(self._root, name))

    def _python(self, conda: SourceFile | None) -> str | None:
        if (conda and conda_packages.names_python(conda)) or not (self._root / python_version.FILE).is_file():
            return None
        version, problems, warnings = python_version.wanted_version(read_source(self._root, python_version.FILE))
        self._problems += problems
        self._warnings += warnings
        return version


def _plain(file: SourceFile) -> bytes:
    """Return the content with Unix line ends, so that Git's settings do not change an image.

    A ``requirements.txt`` with nothing but comments is empty: its project shares the image of those without the file.
    """
    if file.name == requirements_file.FILE and requirements_file.says_nothing(file.text):
        return b""
    return file.text.replace("\r\n", "\n").encode()


def _content(file: ProjectFile) -> DependencyFile:
    return DependencyFile(Path(file.source).read_bytes(), file.executable)


def _normal(path: PurePosixPath) -> str | None:
    """Return a path without ``.`` and ``..``; None for a path that leads out of the project."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."
