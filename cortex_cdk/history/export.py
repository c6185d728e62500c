"""Writes the files of a deployment into a folder, from which it can be deployed again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cortex_serving.contract import CONFIG_FILE
from cortex_serving.errors import ProjectError as CannotUnpackError
from cortex_serving.project import unpack

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.errors import CortexError
from cortex_cdk.history.parts import OTHERWISE, as_file, configuration_of
from cortex_cdk.history.record import ConfigFile, Record


@dataclass(frozen=True)
class Exported:
    """The files of a deployment in a folder.

    Attributes:
        record: The deployment.
        folder: The folder.
        config: The configuration file in it: as the user wrote it, where that is known.
    """

    record: Record
    folder: Path
    config: Path

    @property
    def deployable(self) -> Path:
        """What ``cortex deploy`` takes: the folder, or the file where that has a name of its own."""
        return self.folder if self.config.name == CONFIG_FILE else self.config


def export(cloud: Cloud, bucket: str, record: Record, folder: Path) -> Exported:
    """Write the files of a deployment.

    Args:
        cloud: A session of the environment.
        bucket: The cluster's bucket.
        record: The deployment.
        folder: Where to: a folder that is empty, or is made.

    Raises:
        CortexError: The folder is not empty or cannot be written, or something of the deployment is gone.
    """
    _require_empty(folder)
    file = _config_file(cloud, bucket, record)
    content = _archive(cloud, bucket, record) if record.release.archive else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if content is not None:
            unpack(content, folder)
        config = folder / PurePosixPath(file.name).name
        if config.exists():
            config = folder / f"{record.api}.yaml"
        config.write_text(file.text, encoding="utf-8", newline="")
    except (CannotUnpackError, OSError) as error:
        raise CortexError(f"{record.api}: {record.name} cannot be written to {folder}: {error}") from error
    return Exported(record, folder, config)


def _require_empty(folder: Path) -> None:
    try:
        is_empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise CortexError(f"{folder} cannot be read: {error.strerror}") from error
    if not is_empty:
        raise CortexError(f"{folder} is not an empty folder, and nothing is overwritten", hint="name a new folder")


def _archive(cloud: Cloud, bucket: str, record: Record) -> bytes:
    from botocore.exceptions import ClientError

    key = names.project_key(record.api, record.release.archive)
    try:
        return cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error_code(error) != "NoSuchKey":
            raise
        message = f"{record.api}: the files of {record.name} are not in the bucket ({key})"
        raise CortexError(message, hint=OTHERWISE) from error


def _config_file(cloud: Cloud, bucket: str, record: Record) -> ConfigFile:
    """The file as the user wrote it, where that is known; else one with the same fields."""
    return record.release.file or ConfigFile(CONFIG_FILE, as_file(configuration_of(cloud, bucket, record)))
