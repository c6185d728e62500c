"""Makes the differences between two deployments: configuration, files, image."""

from __future__ import annotations

import difflib
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.history.parts import as_yaml, configuration_of, open_archive
from cortex_cdk.history.record import Record
from cortex_cdk.project.secret_files import secret_files
from cortex_cdk.synthesis.deployed_configuration import HIDDEN, without_values_of_env

ADDED, CHANGED, REMOVED = "added", "changed", "removed"
MOST_TEXT = 2**18
"""Bytes of a file whose lines are compared."""
_PIECE = 2**20
_OTHER = f"{HIDDEN} (another value)"


@dataclass(frozen=True)
class Content:
    """One content of a file.

    Attributes:
        size: Bytes.
        sha256: Of the content, in hexadecimal.
        start: The content, as far as it is kept.
    """

    size: int
    sha256: str
    start: bytes = field(default=b"", repr=False)

    def as_json(self) -> dict[str, Any]:
        """What ``cortex diff -o json`` prints of it."""
        return {"size": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class FileChange:
    """A file of the project that differs.

    Attributes:
        path: Its path in the project.
        change: ``added``, ``changed`` or ``removed``.
        before: Its content before; None where there was none.
        after: Its content after; None where there is none.
        diff: The differences as a unified diff; None where the lines are not shown.
        hidden: Why the lines are not shown: the file is not text, is large, or looks like a secret.
    """

    path: str
    change: str
    before: Content | None
    after: Content | None
    diff: str | None
    hidden: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What differs between two deployments of an API.

    Attributes:
        before: One deployment.
        after: The other one.
        configuration: The fields of ``cortex.yaml`` with their defaults, as a unified diff; empty where they are alike.
            Values of environment variables are not shown.
        files: The files that differ, by path.
    """

    before: Record
    after: Record
    configuration: str
    files: tuple[FileChange, ...]

    def __repr__(self) -> str:
        parts = [f"{file.path} ({file.change})" for file in self.files]
        parts += ["configuration"] if self.configuration else []
        parts += ["image"] if self.other_image else []
        changes = ", ".join(parts) or "nothing differs"
        return f"<{self.after.api} {self.before.name} -> {self.after.name}: {changes}>"

    @property
    def other_image(self) -> bool:
        """Whether the replicas get another image: other dependencies, or another version of the serving program."""
        return self.before.release.image != self.after.release.image

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.configuration or self.files or self.other_image)

    def as_json(self) -> dict[str, Any]:
        """What ``cortex diff -o json`` prints."""

        def side(record: Record) -> dict[str, Any]:
            return {"number": record.number, "revision": record.release.revision, "image": record.release.image}

        return {
            "api": self.after.api,
            "before": side(self.before),
            "after": side(self.after),
            "configuration": self.configuration,
            "files": [
                {
                    "path": file.path,
                    "change": file.change,
                    "before": file.before.as_json() if file.before else None,
                    "after": file.after.as_json() if file.after else None,
                    "diff": file.diff,
                    "hidden": file.hidden,
                }
                for file in self.files
            ],
            "other_image": self.other_image,
        }


def compare(cloud: Cloud, bucket: str, before: Record, after: Record) -> Comparison:
    """Compare two deployments of an API.

    Args:
        cloud: A session of the environment.
        bucket: The cluster's bucket.
        before: One deployment.
        after: The other one.

    Raises:
        CortexError: A configuration or an archive is gone.
    """
    fields = [configuration_of(cloud, bucket, record) for record in (before, after)]
    files: tuple[FileChange, ...] = ()
    if before.release.archive != after.release.archive:
        with open_archive(cloud, bucket, before) as old, open_archive(cloud, bucket, after) as new:
            files = tuple(_files(old, new, before, after))
    return Comparison(before, after, _configurations(fields[0], fields[1], before, after), files)


def _configurations(old: dict[str, Any], new: dict[str, Any], before: Record, after: Record) -> str:
    texts = [as_yaml(without_values_of_env(old)), as_yaml(_with_marks(old, new))]
    return _unified(texts[0], texts[1], f"configuration ({before.name})", f"configuration ({after.name})")


def _with_marks(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new configuration without the values of environment variables, but with those marked that changed."""
    known, env = ((fields.get("predictor") or {}).get("env") or {} for fields in (old, new))
    marked = {name: _OTHER if name in known and known[name] != value else HIDDEN for name, value in env.items()}
    return {**new, "predictor": {**new["predictor"], "env": marked}} if env else new


def _files(old: zipfile.ZipFile, new: zipfile.ZipFile, before: Record, after: Record) -> Iterator[FileChange]:
    known, wanted = ({entry.filename: entry for entry in archive.infolist()} for archive in (old, new))
    for path in sorted(known.keys() | wanted.keys()):
        one, two = known.get(path), wanted.get(path)
        if one and two and (one.CRC, one.file_size, one.external_attr) == (two.CRC, two.file_size, two.external_attr):
            continue
        yield _file(path, _content(old, one), _content(new, two), f"{path} ({before.name})", f"{path} ({after.name})")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo | None) -> Content | None:
    """Read a file, of which only as much is kept as lines are compared of."""
    if entry is None:
        return None
    digest, size, kept = hashlib.sha256(), 0, b""
    with archive.open(entry) as source:
        while piece := source.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            kept += piece if len(kept) <= MOST_TEXT else b""
    return Content(size, digest.hexdigest(), kept)


def _file(path: str, old: Content | None, new: Content | None, before: str, after: str) -> FileChange:
    change = ADDED if old is None else REMOVED if new is None else CHANGED
    hidden = _why_hidden(path, [content for content in (old, new) if content])
    if hidden is None and old and new and old.sha256 == new.sha256:
        hidden = "only its permissions differ"
    if hidden:
        return FileChange(path, change, old, new, None, hidden)
    texts = [content.start.decode() if content else "" for content in (old, new)]
    return FileChange(path, change, old, new, _unified(texts[0], texts[1], before, after))


def _why_hidden(path: str, contents: list[Content]) -> str | None:
    if secret_files([path]):
        return "looks like a secret"
    if any(content.size > MOST_TEXT for content in contents):
        return "large"
    return None if all(_is_text(content.start) for content in contents) else "not text"


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _unified(old: str, new: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(_lines(old), _lines(new), before, after, lineterm="\n")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Split at line feeds only, as diff does."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])
