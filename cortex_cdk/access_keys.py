"""The API keys of a cluster: one object in its bucket, which its replicas read again and again.

The object has hashes, never keys. Two people may change it at once: a change is made only if nobody was quicker
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). A revoked key is remembered for
``REMEMBERED_S``, so that whoever still uses it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER
from cortex_serving.formats.access_keys import NAME, AccessKey, generate, read, write

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import CortexError, NotDeployedError, WrongCallError
from cortex_cdk.stack_operations.stack import list_resource_stacks

REMEMBERED_S = 90 * 86_400
MOST_KEYS = 1000
"""All of them are read by every replica, and compared by id."""
_MISSING = frozenset({"NoSuchKey", "404"})
_MEANWHILE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_ATTEMPTS = 5

Change = Callable[[tuple[AccessKey, ...]], tuple[AccessKey, ...]]


class KeyStore(Protocol):
    """Where keys are kept."""

    def check(self, apis: Sequence[str]) -> None:
        """Look whether there are APIs of these names.

        Raises:
            CortexError: There is none of one of them.
        """

    def load(self) -> tuple[AccessKey, ...]:
        """Return all keys.

        Raises:
            CortexError: What is kept are no keys.
        """

    def change(self, change: Change) -> None:
        """Put the result of ``change`` in the place of all keys; it may be called again with what others wrote."""


class ClusterKeys:
    """The keys of a cluster.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster) -> None:
        self._cloud = cloud
        self._cluster = cluster.name
        self._bucket = cluster.resources.bucket

    def check(self, apis: Sequence[str]) -> None:
        """Refuse names that no API of the cluster has: a key for them would be of no use, and nobody would know why."""
        if not apis:
            return
        kinds = {resource.name: resource.kind for resource, _ in list_resource_stacks(self._cloud, self._cluster)}
        for name in apis:
            if kinds.get(name) == TRAFFIC_SPLITTER:
                raise CortexError(
                    f"{name} is a traffic splitter, and a key is for APIs", hint="name the APIs that it forwards to"
                )
            if name not in kinds:
                known = ", ".join(known for known, kind in kinds.items() if kind == REALTIME_API)
                raise NotDeployedError(
                    f"no API named {name} is deployed",
                    hint=f"the APIs are: {known}" if known else "deploy it first, or make a key for all APIs",
                )

    def load(self) -> tuple[AccessKey, ...]:
        """Return all keys; none where there is no object yet."""
        return self._read()[0]

    def change(self, change: Change) -> None:
        """Write the object if nobody was quicker; else begin again."""
        for _ in range(_ATTEMPTS):
            keys, version = self._read()
            if self._write(change(keys), version):
                return
        raise CortexError("the API keys are being changed by somebody else", hint="try again")

    def ensure(self) -> bool:
        """Make the object if there is none: a replica that may only read it would be told that access is denied.

        Returns:
            Whether there is a key that is good.
        """
        keys, version = self._read()
        if version is None:
            self._write((), None)
        return any(key.refused_because(time.time()) is None for key in keys)

    def _read(self) -> tuple[tuple[AccessKey, ...], str | None]:
        from botocore.exceptions import ClientError

        try:
            answer = self._cloud.s3.get_object(Bucket=self._bucket, Key=names.ACCESS_KEYS)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return (), None
            raise
        return _understood(answer["Body"].read(), f"s3://{self._bucket}/{names.ACCESS_KEYS}"), answer["ETag"]

    def _write(self, keys: Sequence[AccessKey], version: str | None) -> bool:
        """Write the object if it still has that version; None where there must be none."""
        from botocore.exceptions import ClientError

        body, s3 = write(keys), self._cloud.s3
        try:
            if version is None:
                s3.put_object(Bucket=self._bucket, Key=names.ACCESS_KEYS, Body=body, IfNoneMatch="*")
            else:
                s3.put_object(Bucket=self._bucket, Key=names.ACCESS_KEYS, Body=body, IfMatch=version)
        except ClientError as error:
            if error_code(error) in _MEANWHILE:
                return False
            raise
        return True


class FileKeys:
    """Keys in a file, for ``cortex-serve`` by itself.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, apis: Sequence[str]) -> None:
        """Nothing: the file may be for any API."""

    def load(self) -> tuple[AccessKey, ...]:
        """Return all keys; none where there is no file yet."""
        return _understood(self._path.read_bytes(), str(self._path)) if self._path.exists() else ()

    def change(self, change: Change) -> None:
        """Write the file anew."""
        scratch = self._path.with_name(f"{self._path.name}.new")
        scratch.touch(mode=0o600)
        scratch.write_bytes(write(change(self.load())))
        scratch.replace(self._path)


def create(
    store: KeyStore, name: str, apis: Sequence[str] = (), lifetime: float | None = None
) -> tuple[AccessKey, str]:
    """Make a key.

    Args:
        store: Where to keep it.
        name: What people, logs and metrics will call it.
        apis: Names of the APIs that it is for; empty for all.
        lifetime: Seconds for which it is good; None for good.

    Returns:
        What is kept, and the key, which nobody can show again.

    Raises:
        CortexError: The name cannot be that of a key, there is one of that name, or an API does not exist.
    """
    if not NAME.fullmatch(name):
        raise WrongCallError(
            f"{name!r} cannot be the name of a key",
            hint="take 1 to 64 characters from A-Z a-z 0-9 . _ -, beginning with a letter or digit",
        )
    store.check(apis)
    text, id, sha256 = generate()
    now = time.time()
    expires = None if lifetime is None else now + lifetime
    made = AccessKey(id, name, sha256, tuple(dict.fromkeys(apis)), now, expires)

    def add(keys: tuple[AccessKey, ...]) -> tuple[AccessKey, ...]:
        kept = _remembered(keys, now)
        if any(key.name == name and key.revoked is None for key in kept):
            raise CortexError(
                f"there is a key {name} already",
                hint=f"take another name, or revoke it first: cortex key revoke {name}",
            )
        if len(kept) >= MOST_KEYS:
            raise CortexError(f"there are {MOST_KEYS} keys already", hint="revoke those that nobody uses")
        return (*kept, made)

    store.change(add)
    return made, text


def revoke(store: KeyStore, name: str) -> AccessKey:
    """Revoke a key.

    Args:
        store: Where it is kept.
        name: Its name or its id.

    Raises:
        CortexError: There is none of that name, or it was revoked before.
    """
    now = time.time()
    found: list[AccessKey] = []

    def end(keys: tuple[AccessKey, ...]) -> tuple[AccessKey, ...]:
        found[:] = [key for key in keys if name in (key.name, key.id) and key.revoked is None]
        if not found:
            known = ", ".join(key.name for key in keys if key.revoked is None)
            was = any(name in (key.name, key.id) for key in keys)
            raise CortexError(
                f"the key {name} was revoked before" if was else f"there is no key {name}",
                hint=f"the keys are: {known}" if known else "make one with: cortex key create NAME",
            )
        return tuple(replace(key, revoked=now) if key in found else key for key in _remembered(keys, now))

    store.change(end)
    return replace(found[0], revoked=now)


def _remembered(keys: tuple[AccessKey, ...], now: float) -> tuple[AccessKey, ...]:
    return tuple(key for key in keys if key.revoked is None or now - key.revoked < REMEMBERED_S)


def _understood(document: bytes, place: str) -> tuple[AccessKey, ...]:
    try:
        return read(document)
    except ValueError as error:
        raise CortexError(f"{place} does not hold API keys: {error}") from error
