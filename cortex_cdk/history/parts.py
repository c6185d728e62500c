"""Reads what a record names: the configuration and the project's files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.stored_object import StoredObject
from cortex_cdk.config.checks.unsupported_fields import IGNORED
from cortex_cdk.config.realtime_api import MODELS
from cortex_cdk.config.written import as_written
from cortex_cdk.errors import CortexError
from cortex_cdk.history.record import Record
from cortex_cdk.synthesis.deployed_configuration import read_configuration

OTHERWISE = "name another deployment (cortex history), or remove the object's delete marker within 30 days"
"""What to do where an object of a record is gone."""


@contextmanager
def open_archive(cloud: Cloud, bucket: str, record: Record) -> Iterator[zipfile.ZipFile]:
    """Open the archive of a record's project. Only what is read of it is fetched.

    Args:
        cloud: A session of the environment.
        bucket: The cluster's bucket.
        record: The record.

    Raises:
        CortexError: It is gone, or cannot be read.
    """
    key = names.project_key(record.api, record.release.archive)
    file = StoredObject.open(cloud, bucket, key)
    if file is None:
        raise CortexError(f"{record.api}: the files of {record.name} are not in the bucket ({key})", hint=OTHERWISE)
    try:
        with file, zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError) as error:
        raise CortexError(f"{record.api}: the files of {record.name} cannot be read ({key}): {error}") from error


def configuration_of(cloud: Cloud, bucket: str, record: Record) -> dict[str, Any]:
    """Read the configuration of a record.

    Raises:
        CortexError: It is gone.
    """
    found = read_configuration(cloud, bucket, record.release.specification)
    if not found:
        key = names.configuration_key(record.release.specification)
        message = f"{record.api}: the configuration of {record.name} is not in the bucket ({key})"
        raise CortexError(message, hint=OTHERWISE)
    return found


def as_yaml(configuration: Mapping[str, Any]) -> str:
    """Write the configuration of an API or splitter as YAML, as its user would, without the fields that are not set."""
    return _yaml(_as_written(configuration))


def as_file(configuration: Mapping[str, Any]) -> str:
    """Write a configuration file with one API or splitter, without fields that have no effect."""
    fields = _as_written(configuration)
    for section, field in IGNORED:
        if isinstance(fields.get(section), dict):
            fields[section].pop(field, None)
    return _yaml([fields])


def _as_written(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return as_written(MODELS[configuration["kind"]], configuration)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(_that_are_set(value), sort_keys=False, allow_unicode=True)


def _that_are_set(value: Any) -> Any:
    if isinstance(value, list):
        return [_that_are_set(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    fields = {name: _that_are_set(inner) for name, inner in value.items()}
    return {name: inner for name, inner in fields.items() if inner is not None and inner not in ({}, [])}
