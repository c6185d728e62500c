"""Where models lie: a folder of the project, or a prefix in S3."""

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
    """Models cannot be listed or fetched. Raised without its cause, whose frames are none of the reader's."""


class FilesGone(StoreError):
    """Files that were listed are not there any more."""


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())


@dataclass(frozen=True)
class StoredFile:
    """A file below a store's root; the stamp changes with its content."""

    path: str
    size: int
    stamp: str


def fingerprint(files: Sequence[StoredFile]) -> str:
    """A short text that changes when any of the files does."""
    listing = "\n".join(sorted(f"{file.path}\0{file.size}\0{file.stamp}" for file in files))
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


class Store(Protocol):
    """Files below a root."""

    def files(self) -> list[StoredFile]:
        """Every file below the root; a root that is a file itself is one file with an empty path.

        Raises:
            StoreError: They cannot be listed.
        """

    def local(self, prefix: str, files: Sequence[StoredFile], target: Path) -> Path:
        """Make the files below a prefix available on disk, and return their folder (or file).

        Args:
            prefix: Path below the root; empty for the root itself.
            files: What to fetch.
            target: Folder to fetch into, if fetching is needed; it appears whole or not at all.

        Raises:
            FilesGone: They have been removed meanwhile.
            StoreError: They cannot be fetched.
        """


class LocalStore:
    """A folder or file of the project; used where it lies."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> list[StoredFile]:
        """Every file below the root."""
        try:
            if self._root.is_file():
                return [self._stored(self._root, "")]
            found = [path for path in sorted(self._root.rglob("*")) if path.is_file()]
            return [self._stored(path, path.relative_to(self._root).as_posix()) for path in found]
        except OSError as error:  # a file that goes while the folder is read
            raise StoreError(f"cannot list {self._root}: {error}") from None

    def local(self, prefix: str, files: Sequence[StoredFile], target: Path) -> Path:
        """The files where they lie."""
        return self._root / prefix if prefix else self._root

    @staticmethod
    def _stored(path: Path, relative: str) -> StoredFile:
        status = path.stat()
        return StoredFile(relative, status.st_size, str(status.st_mtime_ns))


class S3:
    """The client that all stores in S3 share: one takes a third of a second and megabytes to make."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Any = None

    def client(self) -> Any:
        """The client; made when it is first asked for.

        Raises:
            BotoCoreError: The environment has no usable configuration.
        """
        with self._lock:
            if self._client is None:
                import boto3  # only where models come from S3: it costs memory and start-up time
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
        """Every object below the prefix, or the one of that name."""
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
        """Download the objects, unless an earlier or parallel download is there already."""
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
    """The store for a ``model_path`` or ``dir``: ``s3://bucket/prefix``, or a path in the project."""
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        return S3Store(s3, bucket, prefix)
    return LocalStore(project / location)
