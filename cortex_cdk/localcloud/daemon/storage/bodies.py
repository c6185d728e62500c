"""Bodies of S3 objects as files named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Set
from pathlib import Path


class StoredBody:
    """The body of a restored object: read from its file when it is asked for, not when the daemon starts.

    It is what moto expects of an object's buffer; an object that gets another body gets another buffer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def seek(self, position: int) -> int:
        """Go to a byte offset."""
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, all for -1."""
        with self._path.open("rb") as stream:
            stream.seek(self._position)
            content = stream.read(size)
        self._position += len(content)
        return content

    def close(self) -> None:
        """Nothing is open between reads."""


class Bodies:
    """A folder of bodies.

    Args:
        folder: Where the files are; made when the first body comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Store a body durably.

        Returns:
            Its name: the SHA-256 of the content in hexadecimal.
        """
        name = hashlib.sha256(content).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(path, content)
        return name

    def get(self, name: str) -> StoredBody:
        """The body of that name, as a buffer."""
        return StoredBody(self._folder / name)

    def keep_only(self, names: Set[str]) -> None:
        """Remove the bodies that no object has any more."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in names:
                    path.unlink()


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it holds either what it held before or all of ``content``."""
    scratch = path.with_name(f"{path.name}.new")
    with scratch.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)
    # The new name itself is lost with the power unless the folder is written too.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
