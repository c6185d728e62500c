"""Lists and fetches the files of models: from a folder of the project, or from a prefix in S3."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cortex_serving.errors import ServingError


class StoreError(ServingError):
    """Models cannot be listed or fetched. Raised without its cause, as the cause's frames say nothing to users."""


class FilesGone(StoreError):
    """Listed files have been removed."""


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line."""
    return " ".join(str(error).split())


@dataclass(frozen=True)
class StoredFile:
    """A file below a store's root.

    Attributes:
        path: Path below the root; empty if the root itself is the file.
        size: Bytes.
        stamp: Text that changes when the content does.
    """

    path: str
    size: int
    stamp: str


def fingerprint(files: Sequence[StoredFile]) -> str:
    """Return 16 hexadecimal digits that change when any of the files does."""
    listing = "\n".join(sorted(f"{file.path}\0{file.size}\0{file.stamp}" for file in files))
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


class Store(Protocol):
    """Files below a root."""

    def files(self) -> list[StoredFile]:
        """List every file below the root; a root that is a file itself is one file with an empty path.

        Raises:
            StoreError: The files cannot be listed.
        """

    def local(self, prefix: str, files: Sequence[StoredFile], target: Path) -> Path:
        """Make the files below a prefix available on disk, and return their folder (or file).

        Args:
            prefix: Path below the root; empty for the root itself.
            files: Files to fetch.
            target: Folder to fetch into, if need be. The folder appears whole or not at all.

        Raises:
            FilesGone: The files have been removed meanwhile.
            StoreError: The files cannot be fetched.
        """


class LocalStore:
    """A folder or file of the project, used in place."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> list[StoredFile]:
        """List every file below the root."""
        try:
            if self._root.is_file():
                return [self._stored(self._root, "")]
            found = [path for path in sorted(self._root.rglob("*")) if path.is_file()]
            return [self._stored(path, path.relative_to(self._root).as_posix()) for path in found]
        except OSError as error:  # a file that goes while the folder is read
            raise StoreError(f"cannot list {self._root}: {error}") from None

    def local(self, prefix: str, files: Sequence[StoredFile], target: Path) -> Path:
        """Return the folder or file in the project."""
        return self._root / prefix if prefix else self._root

    @staticmethod
    def _stored(path: Path, relative: str) -> StoredFile:
        status = path.stat()
        return StoredFile(relative, status.st_size, str(status.st_mtime_ns))


class S3:
    """Holds the client that all stores in S3 share: a client costs a third of a second and megabytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Any = None

    def client(self) -> Any:
        """Return the client, and make it first if need be.

        Raises:
            BotoCoreError: The process's environment has no usable AWS configuration.
        """
        with self._lock:
            if self._client is None:
                import boto3  # costs memory and start-up time, and is needed for models in S3 only
                from botocore.config import Config

                options = Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 5, "mode": "standard"})
                self._client = boto3.client("s3", config=options)
            return self._client


class S3Store:
    """Objects below a prefix of a bucket."""

    def __init__(self, s3: S3, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix.strip("/")

    def files(self) -> list[StoredFile]:
        """List every object below the prefix, or the object of that name."""
        from botocore.exceptions import BotoCoreError, ClientError

        below = f"{self._prefix}/" if self._prefix else ""
        try:
            pages = self._s3.client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below)
            objects = [item for page in pages for item in page.get("Contents", ()) if not item["Key"].endswith("/")]
            if not objects and self._prefix:  # the name itself is the first of those that begin with it
                page = self._s3.client().list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
                objects = [item for item in page.get("Contents", ()) if item["Key"] == self._prefix]
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"cannot list s3://{self._bucket}/{self._prefix}: {one_line(error)}") from None
        return [StoredFile(item["Key"][len(below) :], item["Size"], item["ETag"]) for item in objects]

    def local(self, prefix: str, files: Sequence[StoredFile], target: Path) -> Path:
        """Download the objects, unless an earlier or parallel download has finished."""
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".fetching-", dir=target.parent))
            try:
                self._download(prefix, files, partial)
                partial.rename(target)
            except OSError as error:
                if not target.exists():  # else another process was faster
                    raise StoreError(f"cannot keep a model in {target}: {error}") from None
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        only = files[0].path if len(files) == 1 else None
        return target / Path(self._prefix).name if only == "" else target

    def _download(self, prefix: str, files: Sequence[StoredFile], into: Path) -> None:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        for file in files:
            name = file.path[len(prefix) :].lstrip("/") or Path(self._prefix).name
            destination = (into / name).resolve()
            if into.resolve() not in destination.parents:
                raise StoreError(f"s3://{self._bucket}/{self._prefix} holds a name that leaves its folder: {name!r}")
            destination.parent.mkdir(parents=True, exist_ok=True)
            key = "/".join(part for part in (self._prefix, file.path) if part)
            try:
                self._s3.client().download_file(self._bucket, key, str(destination))
            except (Boto3Error, BotoCoreError, ClientError) as error:
                answer = getattr(error, "response", {}).get("ResponseMetadata", {})
                kind = FilesGone if answer.get("HTTPStatusCode") == 404 else StoreError
                raise kind(f"cannot fetch s3://{self._bucket}/{key}: {one_line(error)}") from None


def open_store(location: str, project: Path, s3: S3) -> Store:
    """Return the store of a place.

    Args:
        location: ``s3://bucket/prefix``, or a path in the project.
        project: The project folder.
        s3: The client for stores in S3.
    """
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        return S3Store(s3, bucket, prefix)
    return LocalStore(project / location)
