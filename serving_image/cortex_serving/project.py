"""The project: fetched from S3, checked, unpacked.

The archive is written by our own deployer, but whoever can write to the bucket could put another one there: names
that leave the folder, links and archives that expand without end are refused.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cortex_serving.contract import MAX_ARCHIVE_BYTES, MAX_PROJECT_FILES, Variable
from cortex_serving.errors import ProjectError
from cortex_serving.formats.env_file import read_env_file

MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024
_READ_BYTES = 1024 * 1024


def provide(location: str, directory: Path) -> Path:
    """Return the folder of a project, which is unpacked first if it is an archive.

    Args:
        location: ``s3://bucket/key`` of the archive, or a folder.
        directory: Folder to unpack into; made if it is missing.

    Raises:
        ProjectError: The archive cannot be read or must not be unpacked.
    """
    if not location.startswith("s3://"):
        return Path(location)
    fetch(location, directory)
    return directory


def fetch(url: str, directory: Path) -> None:
    """Download the archive ``s3://bucket/key`` and unpack it.

    Args:
        url: Where the archive is.
        directory: Folder to unpack into; made if it is missing.

    Raises:
        ProjectError: The archive cannot be read or must not be unpacked.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not key:
        raise ProjectError(f"{Variable.PROJECT} is {url!r}: it must be s3://bucket/key")
    unpack(_download(bucket, key), directory)


def _download(bucket: str, key: str) -> bytes:
    import boto3  # only where a project comes from S3: it costs memory and start-up time
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    options = Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 5, "mode": "standard"})
    try:
        answer = boto3.client("s3", config=options).get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > MAX_ARCHIVE_BYTES:
            raise ProjectError(f"the project archive s3://{bucket}/{key} is larger than {MAX_ARCHIVE_BYTES} bytes")
        content: bytes = answer["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise ProjectError(f"cannot fetch the project from s3://{bucket}/{key}: {error}") from error
    return content


def unpack(archive: bytes, directory: Path) -> None:
    """Unpack a zip archive, refusing names outside the folder, links, and sizes without bound.

    Raises:
        ProjectError: The archive is damaged or must not be unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            for member, path in checked_members(zipped):
                _unpack_member(zipped, member, directory.joinpath(*path.parts))
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise ProjectError(f"cannot unpack the project: {error}") from error


def checked_members(zipped: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The members of an archive, each with the path that it has inside the folder that it is unpacked to.

    Raises:
        ProjectError: There are too many, they are too large together, or one would leave the folder, is a link or a
            special file.
    """
    members = zipped.infolist()
    if len(members) > MAX_PROJECT_FILES:
        raise ProjectError(f"the project archive holds {len(members)} files; at most {MAX_PROJECT_FILES} are unpacked")
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise ProjectError(f"the project archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return [(member, _checked_path(member)) for member in members]


def _checked_path(member: zipfile.ZipInfo) -> PurePosixPath:
    name = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename or "\0" in member.filename:
        raise ProjectError(f"the project archive holds a name that leaves its folder: {member.filename!r}")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ProjectError(f"the project archive holds a link or special file: {member.filename!r}")
    return name


def _unpack_member(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # The declared size is only a claim: the bytes that really come out are counted.
    left = member.file_size
    with zipped.open(member) as source, target.open("wb") as sink:
        while chunk := source.read(_READ_BYTES):
            left -= len(chunk)
            if left < 0:
                raise ProjectError(f"the project archive lies about the size of {member.filename!r}")
            sink.write(chunk)
    if (member.external_attr >> 16) & stat.S_IXUSR:
        target.chmod(target.stat().st_mode | stat.S_IXUSR)


def enter(directory: Path, python_path: str | None, given: Mapping[str, str]) -> None:
    """Make this process live in the project: working folder, import path, ``.env``.

    Args:
        directory: The project folder.
        python_path: Folder inside it that imports start from; None takes the project folder.
        given: Variables that were set from outside; ``.env`` does not override them.

    Raises:
        FormatError: ``.env`` cannot be read.
    """
    os.chdir(directory)
    sys.path.insert(0, str(directory / python_path) if python_path else str(directory))
    os.environ.update(read_env_file(directory).variables(given))
