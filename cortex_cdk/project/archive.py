"""Packs the project, which is the folder of the configuration file.

    folder -> collect   finds the project's files: ignore rules, limits
           -> archive   writes a zip that has the same bytes for the same content, and computes its digest

The digest covers names, contents and execute permissions. Modification times, other permissions and the machine do not
matter, so an unchanged project is never uploaded twice.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cortex_serving.contract import MAX_PROJECT_BYTES, MAX_PROJECT_FILES

from cortex_cdk.errors import ProjectError
from cortex_cdk.project.ignore_rules import IGNORE_FILE, IgnoreRules
from cortex_cdk.project.secret_files import secret_files
from cortex_cdk.project.zip_entry import zip_entry

MIB = 2**20
# Cortex asked before it uploaded as much (reference ``cortex.md`` 1.5).
MANY_BYTES = 10 * MIB
MANY_FILES = 1000

_COMPILED = (".pyc", ".pyo", ".pyd")
_CHUNK = MIB
_ASIDE = f"put it into {IGNORE_FILE} if replicas do not need it"
_CHANGING = f"deploy again; a file that is being written all the time, such as a log, belongs into {IGNORE_FILE}"


@dataclass(frozen=True)
class ProjectFile:
    """One file of the project.

    Attributes:
        name: Path in the project, with ``/`` between its parts.
        source: File with the content (the target, for a link).
        size: Bytes, when the file was found.
        executable: Whether its owner may execute it.
    """

    name: str
    source: Path
    size: int
    executable: bool


@dataclass(frozen=True)
class ProjectFiles:
    """The files of a project, sorted by name."""

    root: Path
    files: tuple[ProjectFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the files that look like secrets."""
        return tuple(secret_files(file.name for file in self.files))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes every deployment of this project slow, one sentence each."""
        found = [f"{file.name} has {_mib(file.size)}; {_ASIDE}" for file in self.files if file.size >= MANY_BYTES]
        if len(self.files) >= MANY_FILES:
            found.append(f"the project has {len(self.files)} files; put what replicas do not need into {IGNORE_FILE}")
        return tuple(found)


@dataclass(frozen=True)
class ProjectArchive:
    """A packed project.

    Attributes:
        path: The zip.
        digest: SHA-256 of the content, in hexadecimal; the same for the same content on every machine.
        size: Bytes of the zip.
        file_count: Number of files in the zip.
        warnings: What makes every deployment of this project slow, one sentence each.
    """

    path: Path
    digest: str
    size: int
    file_count: int
    warnings: tuple[str, ...]


class Exclusions:
    """Decides which files of a folder do not belong to the project (Cortex's rules, reference ``cortex.md`` 1.5).

    Args:
        root: The project's folder.
        config_path: The configuration file, which does not belong to the project.

    Raises:
        ProjectError: ``.cortexignore`` cannot be read or has an invalid pattern. (``.gitignore`` is read later.)
    """

    def __init__(self, root: Path, config_path: Path) -> None:
        self._root = root
        self._config = os.path.realpath(config_path)
        self._ignored = IgnoreRules(root)

    def file(self, name: str) -> bool:
        """Return whether a file is left out, by its own path in the project and not by the folders around it."""
        base = PurePosixPath(name).name
        if base == ".env":
            return False
        if base.startswith((".", "cortex-debug-")) or base.endswith(_COMPILED):
            return True
        # os.path.realpath, because Path.resolve fails for links that name themselves.
        return self._ignored.match(name) or os.path.realpath(self._root / name) == self._config

    def folder(self, name: str) -> bool:
        """Return whether a folder is left out with all of its content, by its path in the project."""
        base = PurePosixPath(name).name
        if base.startswith((".", "cortex-debug-")) or base == "__pycache__" or self._ignored.match(f"{name}/"):
            return True
        # A virtual environment works only on the machine where it was made.
        return (self._root / name / "pyvenv.cfg").is_file()

    def path(self, name: str) -> bool:
        """Return whether a file or folder is left out, by its own path or by a folder around it."""
        own = self.folder(name) if (self._root / name).is_dir() else self.file(name)
        folders = [str(parent) for parent in PurePosixPath(name).parents if str(parent) != "."]
        return own or any(self.folder(folder) for folder in folders)


def collect(root: Path, config_path: Path) -> ProjectFiles:
    """Find the files of a project, without reading their content.

    Links inside the project are followed. Sockets, pipes, devices and empty folders are left out.

    Args:
        root: The project's folder.
        config_path: The configuration file, which does not belong to the project.

    Returns:
        The files.

    Raises:
        ProjectError: As ``survey``, or something keeps the project from being packed; the error has all of it.
    """
    project, obstacles = survey(root, config_path)
    if len(obstacles) == 1:
        raise obstacles[0]
    if obstacles:
        details = [f"{error.message} ({error.hint})" for error in obstacles]
        raise ProjectError(f"{len(obstacles)} things keep {project.root} from being packed", details=details)
    return project


def survey(root: Path, config_path: Path) -> tuple[ProjectFiles, tuple[ProjectError, ...]]:
    """Find the files of a project as ``collect`` does, and everything that keeps the project from being packed.

    Returns:
        The files that can be packed, and an error for each obstacle: a link that leads out of the project or nowhere, a
        name that replicas cannot use, more than ``MAX_PROJECT_BYTES``.

    Raises:
        ProjectError: The folder cannot be a project (home, /), cannot be read, or has too many files.
    """
    root = root.resolve()
    refuse_top_level(root)
    if not root.is_dir():
        raise ProjectError(f"the project {root} is not a folder")
    exclusions = Exclusions(root, config_path)
    obstacles: list[ProjectError] = []
    try:
        found = list(itertools.islice(_walk(root, "", exclusions, (root,), obstacles), MAX_PROJECT_FILES + 1))
    except OSError as error:
        raise ProjectError(f"{error.filename} cannot be read: {error.strerror}", hint=_ASIDE) from error
    if len(found) > MAX_PROJECT_FILES:
        raise ProjectError(f"the project {root} has more than {MAX_PROJECT_FILES} files", hint=_ASIDE)
    project = ProjectFiles(root, tuple(sorted(found, key=lambda file: file.name)))
    return project, (*sorted(obstacles, key=lambda error: error.message), *_too_large(project))


def _too_large(project: ProjectFiles) -> Iterator[ProjectError]:
    most = f"more than {_mib(MAX_PROJECT_BYTES)}"
    large = [file for file in project.files if file.size > MAX_PROJECT_BYTES]
    for file in large:
        yield ProjectError(f"{file.name} has {_mib(file.size)}, {most}", hint=_TOO_LARGE)
    if not large and project.size > MAX_PROJECT_BYTES:
        message = f"the project {project.root} has {_mib(project.size)}, {most}"
        yield ProjectError(message, hint=_TOO_LARGE, details=_largest(project.files))


def archive(project: ProjectFiles, destination: Path) -> ProjectArchive:
    """Pack a project into a zip, with 1 MiB of content in memory at a time.

    Args:
        project: The files.
        destination: Path of the zip.

    Returns:
        The archive and its digest.

    Raises:
        ProjectError: A file vanished, changed or cannot be read, or the zip cannot be written.
    """
    partial = destination.with_name(f"{destination.name}.partial")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in project.files:
                digest.update(_add(packed, file))
        partial.replace(destination)
    except OSError as error:
        raise ProjectError(f"the project cannot be packed: {error}", hint=_room(error, destination)) from error
    finally:
        partial.unlink(missing_ok=True)
    size = destination.stat().st_size
    warnings = list(project.warnings)
    if size >= MANY_BYTES:
        warnings.append(
            f"the packed project has {_mib(size)}; keep models on S3, and other things out by {IGNORE_FILE}"
        )
    return ProjectArchive(destination, digest.hexdigest(), size, len(project.files), tuple(warnings))


_TOO_LARGE = f"keep models on S3 (predictor.model_path), and put what replicas do not need into {IGNORE_FILE}"


def refuse_top_level(root: Path) -> None:
    """Refuse a folder that can never be a project.

    Args:
        root: The folder, absolute.

    Raises:
        ProjectError: It is the home folder, or one that holds it.
    """
    try:
        home = Path.home().resolve()
    except RuntimeError:
        home = None
    if root == root.parent or (home is not None and home.is_relative_to(root)):
        message = f"{root} is not a project: everything in it would be uploaded"
        raise ProjectError(message, hint="put the configuration file and the predictor into a folder of their own")


def _walk(
    root: Path, folder: str, exclusions: Exclusions, around: tuple[Path, ...], obstacles: list[ProjectError]
) -> Iterator[ProjectFile]:
    """Yield the files below a folder, and note what cannot be packed.

    Args:
        root: The project's folder.
        folder: The folder's path in the project.
        exclusions: What does not belong to the project.
        around: The real folders around, which no link inside may name; the last is the folder itself.
        obstacles: Gets an error for each file that cannot be packed.
    """
    for entry in os.scandir(around[-1]):
        name = f"{folder}/{entry.name}" if folder else entry.name
        if exclusions.folder(name) if entry.is_dir() else exclusions.file(name):
            continue
        try:
            _refuse_name(root, name)
            source = _target(root, name) if entry.is_symlink() else around[-1] / entry.name
            if source in around:
                raise ProjectError(f"the link {name} leads to a folder that it is in itself", hint=_ASIDE)
        except ProjectError as error:
            obstacles.append(error)
            continue
        status = source.stat()
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(root, name, exclusions, (*around, source), obstacles)
        elif stat.S_ISREG(status.st_mode):
            yield ProjectFile(name, source, status.st_size, bool(status.st_mode & stat.S_IXUSR))


def _refuse_name(root: Path, name: str) -> None:
    """Refuse a name that replicas cannot have, or that means another file on another system."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="surrogateescape")
        raise ProjectError(f"the file name {shown!r} in {root} is not UTF-8", hint="rename the file") from None
    if "\\" in name:  # left by unpacking an archive of Windows; replicas and builds refuse such names
        message = f"the file name {name} in {root} has a backslash"
        raise ProjectError(message, hint=f"move the file to {name.replace(chr(92), '/')}, or {_ASIDE}")


def _target(root: Path, name: str) -> Path:
    try:
        target = (root / name).resolve(strict=True)
    except (OSError, RuntimeError):
        raise ProjectError(f"the link {name} leads nowhere", hint=f"remove the link, or {_ASIDE}") from None
    if not target.is_relative_to(root):
        hint = f"copy what it names into the project, or {_ASIDE}"
        raise ProjectError(f"the link {name} leads out of the project, to {target}", hint=hint)
    return target


def _largest(files: tuple[ProjectFile, ...]) -> list[str]:
    return [f"{_mib(file.size)}  {file.name}" for file in sorted(files, key=lambda file: -file.size)[:5]]


def _room(error: OSError, destination: Path) -> str | None:
    """Say what helps against a full disk; None where something else was in the way."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return f"make room in {destination.parent.parent}, or set TMPDIR to a folder on another disk"


def _add(packed: zipfile.ZipFile, file: ProjectFile) -> bytes:
    """Copy one file into the zip; return the bytes that the file adds to the project's digest."""
    entry = zip_entry(file.name, executable=file.executable)
    content = hashlib.sha256()
    size = 0
    with _open(file.source) as source, packed.open(entry, "w") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            content.update(chunk)
            target.write(chunk)
    if size != file.size:
        raise ProjectError(f"{file.name} changed while it was packed", hint=_CHANGING)
    # Unambiguous: no name has a zero byte, and the fields after it have fixed sizes.
    return file.name.encode() + b"\0" + (b"x" if file.executable else b"-") + content.digest()


def _open(source: Path) -> BinaryIO:
    """Open a file that was found before; refuse a link or pipe that has taken its place since."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    stream = os.fdopen(os.open(source, flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise ProjectError(f"{source} changed while it was packed", hint=_CHANGING)
    return stream


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB" if size >= 10 * MIB else f"{size / MIB:.1f} MiB"
