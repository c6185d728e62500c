"""Reads the cluster's keys again and again: the supervisor does, for all of its workers.

A conditional request (``If-None-Match``) costs one answer without a body while nothing changes. Where the keys cannot
be read the known ones stay good for ``GRACE``: an outage of S3 must not become one of every API, and a revoked key must
not be good for ever (docs/decisions/0048).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from cortex_serving.contract import Variable
from cortex_serving.errors import ServingError
from cortex_serving.formats.access_keys import digest, read, write

EVERY = 20.0
"""Seconds between two looks at the cluster's bucket: a revoked key is refused after so long at most."""
GRACE = 900.0
"""Seconds for which known keys are good although they cannot be read."""
_EVERY_FILE = 0.5
_MISSING, _UNCHANGED = ("NoSuchKey", "404"), ("304", "NotModified")


class KeysUnreadable(ServingError):
    """The keys cannot be read."""


class KeySource(Protocol):
    """Where keys are kept.

    Attributes:
        every: Seconds between two looks.
    """

    every: float

    def read(self, known: str | None) -> tuple[bytes, str] | None:
        """Read the document.

        Args:
            known: Version that the caller has read before.

        Returns:
            The document, empty where there is none yet, and its version; None if it is still the known one.

        Raises:
            KeysUnreadable: It cannot be read.
        """


class KeyFile:
    """A file with keys, to try them without a cluster."""

    every = _EVERY_FILE

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, known: str | None) -> tuple[bytes, str] | None:
        """Read the file."""
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise KeysUnreadable(f"cannot read the API keys in {self._path}: {error.strerror}") from error
        version = digest(content.decode("latin-1"))
        return None if version == known else (content, version)


class KeyObject:
    """The object in the cluster's bucket."""

    every = EVERY

    def __init__(self, bucket: str, key: str) -> None:
        self._bucket = bucket
        self._key = key

    @cached_property
    def _s3(self) -> Any:
        import boto3  # here: it costs memory and start-up time
        from botocore.config import Config

        options = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
        return boto3.client("s3", config=options)

    def read(self, known: str | None) -> tuple[bytes, str] | None:
        """Read the object if it is another one than the known version (its ``ETag``)."""
        from botocore.exceptions import BotoCoreError, ClientError

        condition = {"IfNoneMatch": known} if known else {}
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key, **condition)
            return answer["Body"].read(), answer["ETag"]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in _UNCHANGED:
                return None
            if code in _MISSING:
                return b"", ""
            raise self._unreadable(error) from error
        except BotoCoreError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> KeysUnreadable:
        return KeysUnreadable(f"cannot read the API keys in s3://{self._bucket}/{self._key}: {error}")


def open_source(location: str) -> KeySource:
    """Return where keys are kept.

    Args:
        location: ``s3://bucket/key``, or a file.

    Raises:
        KeysUnreadable: It is neither.
    """
    if not location.startswith("s3://"):
        return KeyFile(Path(location))
    bucket, _, key = location.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise KeysUnreadable(f"{Variable.KEYS} is {location!r}: it must be s3://bucket/key, or a file")
    return KeyObject(bucket, key)


class KeyWatch:
    """Keeps a file of this replica as the keys are at their source.

    Args:
        source: Where they are kept.
        copy: The file, which workers read.
        tell: Called after each change with the file, or with None where the keys are not known any more.
        warn: Called with the reason when the keys cannot be read, once until they can be again.
        grace: Seconds for which the keys that were read last stay good.
    """

    def __init__(
        self,
        source: KeySource,
        copy: Path,
        *,
        tell: Callable[[Path | None], None],
        warn: Callable[[str], None],
        grace: float = GRACE,
    ) -> None:
        self._source = source
        self._copy = copy
        self._tell = tell
        self._warn = warn
        self._grace = grace
        self._version: str | None = None
        self._read_at = time.monotonic()
        self._failing = False
        self._good = False

    def look(self) -> None:
        """Read the keys if they have changed.

        Raises:
            KeysUnreadable: They cannot be read, or are no keys.
        """
        found = self._source.read(self._version)
        if found is not None:
            self._keep(found[0] or write(()))
            self._version = found[1]
        self._read_at = time.monotonic()
        if found is not None or not self._good:
            self._good = True
            self._tell(self._copy)

    def _keep(self, document: bytes) -> None:
        try:
            read(document)
        except ValueError as error:
            raise KeysUnreadable(f"the API keys cannot be understood: {error}") from error
        scratch = self._copy.with_suffix(".new")
        scratch.write_bytes(document)
        scratch.replace(self._copy)

    def start(self) -> None:
        """Read the keys, and go on looking on a thread of its own.

        Raises:
            KeysUnreadable: They cannot be read the first time, so that nobody could be let in.
        """
        self.look()
        threading.Thread(target=self._run, name="keys", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(self._source.every)
            try:
                self.look()
                self._failing = False
            except Exception as error:  # whatever it was: a watch that ended would never see a key revoked
                self._failed(str(error))

    def _failed(self, reason: str) -> None:
        if not self._failing:
            self._failing = True
            self._warn(f"{reason}; the known keys stay good for {self._grace / 60:.0f} minutes")
        if self._good and time.monotonic() - self._read_at > self._grace:
            self._good = False
            self._warn(f"{reason}; nobody is let in until the keys can be read")
            self._tell(None)
