"""What a deployment changes about an API, in the words of its user: files of the project, fields of ``cortex.yaml``.

A template is made from a specification, and has its digest. The API's configuration lies in the cluster's bucket under
that digest, and the project's archive under its own, so that both can be compared with what is to be deployed. Of the
archive only the list of its files is read.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.deploy.plan import StackPlan
from cortex_cdk.synthesis.deployed_configuration import read_configuration
from cortex_cdk.synthesis.specs import ApiStackSpec

_SECRETS = "predictor.env."
"""Fields whose values are not shown."""
_BLOCK = 2**16
_LONGEST = 60
"""Characters of a value that is shown."""
MOST_FILES = 5
"""Files that are named in one line."""
_NAMELESS = "none of your files and fields (the cluster, an image or the version of cortex is another one)"


@dataclass(frozen=True)
class Setting:
    """A field of ``cortex.yaml`` with another value.

    Attributes:
        field: Such as ``autoscaling.max_replicas``.
        before: The value that is deployed; None where there is none.
        after: The value that is wanted; None where there is none.
    """

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.field.startswith(_SECRETS):
            return f"{self.field} (its value)"
        return f"{self.field}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True)
class Differences:
    """What an update of an API changes.

    Attributes:
        added: Files of the project that are new.
        changed: Files with another content.
        removed: Files that are gone.
        settings: Fields of ``cortex.yaml``.
        replaces_replicas: Whether the API gets a new revision, so that its replicas are replaced.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    replaces_replicas: bool = False

    def lines(self) -> Iterator[str]:
        """Say what changes, a line for each kind of file and for each field, and what that means for the replicas."""
        for what, files in (("new", self.added), ("changed", self.changed), ("removed", self.removed)):
            if files:
                more = f" and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else ""
                yield f"{what} file{'s' * (len(files) > 1)}: {', '.join(files[:MOST_FILES])}{more}"
        yield from map(str, self.settings)
        if not (self.added or self.changed or self.removed or self.settings):
            yield _NAMELESS
        yield "a new revision replaces the replicas" if self.replaces_replicas else "no replica is replaced"

    def as_json(self) -> dict[str, Any]:
        """What ``cortex deploy -o json`` prints."""
        return {
            "files": {"added": self.added, "changed": self.changed, "removed": self.removed},
            "settings": [
                {"field": one.field}
                if one.field.startswith(_SECRETS)
                else {"field": one.field, "before": one.before, "after": one.after}
                for one in self.settings
            ],
            "replaces_replicas": self.replaces_replicas,
        }


def differences(cloud: Cloud, bucket: str, plan: StackPlan, archive: Path) -> Differences | None:
    """Compare what a plan deploys with what is deployed.

    Args:
        cloud: Where that is.
        bucket: The cluster's bucket.
        plan: The update of an API's stack.
        archive: The project that is to be deployed.

    Returns:
        None where there is nothing to compare with: the stack is new, or half-way between two states, or the archive of
        what is deployed cannot be read.
    """
    spec, stack = plan.release.spec, plan.stack
    if stack is None or plan.recovery or not plan.changes or not isinstance(spec, ApiStackSpec):
        return None
    known, parameter = stack.parameters, names.Parameter
    key, wanted_key = known.get(parameter.PROJECT_KEY, ""), plan.parameters[parameter.PROJECT_KEY]
    before: Mapping[str, Any] = {}
    after: Mapping[str, Any] = {}
    if key != wanted_key:
        before, after = _listing(_S3Object.open(cloud, bucket, key)), _listing(archive.open("rb"))
        if not before:
            return None
    deployed = _fields(read_configuration(cloud, bucket, stack.outputs.get(names.Output.SPEC_DIGEST, "")))
    return Differences(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(name for name in after.keys() & before.keys() if after[name] != before[name])),
        removed=tuple(sorted(before.keys() - after.keys())),
        settings=tuple(_settings(deployed, _fields(spec.api.model_dump(mode="json")))) if deployed else (),
        replaces_replicas=plan.replaces_replicas,
    )


def _fields(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            found.update(_fields(inner, f"{prefix}{name}."))
        elif inner is not None and inner != {}:
            found[f"{prefix}{name}"] = inner
    return found


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Setting]:
    for field in dict.fromkeys([*after, *before]):
        if before.get(field) != after.get(field):
            yield Setting(field, before.get(field), after.get(field))


def _shown(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _listing(file: io.BufferedIOBase | None) -> dict[str, tuple[int, int, int]]:
    """The files of an archive, with what tells one content from another; none where there is no archive."""
    from botocore.exceptions import ClientError

    if file is None:
        return {}
    try:
        with file, zipfile.ZipFile(file) as archive:
            return {entry.filename: (entry.CRC, entry.file_size, entry.external_attr) for entry in archive.infolist()}
    except (zipfile.BadZipFile, ClientError):
        return {}


class _S3Object(io.RawIOBase):
    """An object of S3 that is read in pieces: a zip's list of files is at its end."""

    def __init__(self, cloud: Cloud, bucket: str, key: str, size: int) -> None:
        self._cloud, self._bucket, self._key, self._size = cloud, bucket, key, size
        self._at = 0

    @classmethod
    def open(cls, cloud: Cloud, bucket: str, key: str) -> io.BufferedReader | None:
        """Open an object; None where it cannot be read."""
        from botocore.exceptions import ClientError

        try:
            size = cloud.s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        except ClientError:
            return None
        return io.BufferedReader(cls(cloud, bucket, key, size), _BLOCK)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        answer = self._cloud.s3.get_object(Bucket=self._bucket, Key=self._key, Range=f"bytes={self._at}-{end - 1}")
        piece = answer["Body"].read()
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
