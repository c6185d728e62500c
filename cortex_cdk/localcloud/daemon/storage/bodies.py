"""Keeps the bodies of S3 objects as files named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Set
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from moto.s3.models import FakeKey


class StoredBody:
    """The body of a restored object. The file is read when somebody asks for the object, not when the daemon starts.

    The class has the methods that moto calls on an object's buffer. An object that gets another body gets another
    buffer.

    Attributes:
        name: The body's name in its folder.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._position = 0

    def seek(self, position: int) -> int:
        """Go to a byte offset."""
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes; all that are left for -1."""
        with self._path.open("rb") as stream:
            stream.seek(self._position)
            content = stream.read(size)
        self._position += len(content)
        return content

    def close(self) -> None:
        """Do nothing: no file is open between reads."""


class Bodies:
    """A folder of bodies.

    Args:
        folder: The folder of the files. It is made when the first body comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # With the ETag that the object had then, because moto may give an object another body.
        self._names: WeakKeyDictionary[FakeKey, tuple[Any, str]] = WeakKeyDictionary()

    def name_of(self, key: FakeKey) -> str:
        """Store the body of an S3 object, unless it is stored.

        Returns:
            The body's name in this folder.
        """
        buffer: object = key._value_buffer
        if isinstance(buffer, StoredBody) and not key.disposed:
            return buffer.name
        known = self._names.get(key)
        if known and known[0] == key.etag:
            return known[1]
        name = self.put(b"" if key.disposed else key.value)
        self._names[key] = (key.etag, name)
        return name

    def put(self, content: bytes) -> str:
        """Store a body durably.

        Returns:
            The body's name: the SHA-256 of the content in hexadecimal.
        """
        name = hashlib.sha256(content).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(path, content)
        return name

    def get(self, name: str) -> StoredBody:
        """Return a body as a buffer."""
        return StoredBody(self._folder / name)

    def has(self, name: str) -> bool:
        """Return whether there is a body of this name."""
        return (self._folder / name).is_file()

    def keep_only(self, names: Set[str]) -> None:
        """Remove all other bodies: no object has them any more."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in names:
                    path.unlink()


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file. After a crash the file holds either the content before or all of ``content``."""
    scratch = path.with_name(f"{path.name}.new")
    # Some files have secrets, and the owner may open the folder to others.
    with open(scratch, "wb", opener=_for_the_owner) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)
    # Without this the new name would be lost with the power.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
