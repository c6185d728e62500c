"""Stores and restores buckets: every version of every object by key. Bodies are files of their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.daemon.storage.bodies import Bodies
from cortex_cdk.localcloud.settings import ACCOUNT_ID, PARTITION

FOLDER = "buckets"
CHECKSUM = ("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts")
ENCRYPTION = ("encryption", "kms_key_id", "bucket_key_enabled")
COPIED = (*CHECKSUM, *ENCRYPTION)
"""Attributes of an object that are stored if they are set."""


def read(bodies: Bodies) -> dict[str, Record]:
    """Return the record of every bucket by its name.

    Args:
        bodies: Takes the bodies of objects that are not stored yet.
    """
    backend: Any = s3_backends[ACCOUNT_ID][PARTITION]
    return {name: _bucket(backend, bucket, bodies) for name, bucket in backend.buckets.items()}


def bodies_of(record: Record) -> Iterator[str]:
    """Return the names of the bodies that a bucket's objects have."""
    for versions in record["objects"].values():
        for version in versions:
            if "body" in version:
                yield version["body"]


def restore(record: Record, bodies: Bodies) -> list[str]:
    """Put the objects of a bucket in place, and make the bucket where no stack has made it.

    Returns:
        The keys of the objects whose bodies are gone. These objects are left out.
    """
    backend: Any = s3_backends[ACCOUNT_ID][PARTITION]
    name = record["name"]
    if name not in backend.buckets:
        backend.create_bucket(name, record["region"])
        backend.put_bucket_versioning(name, record["versioning"])
        backend.put_bucket_tagging(name, record["tags"])
    bucket = backend.buckets[name]
    bucket.creation_date = datetime.fromisoformat(record["created"])
    missing = []
    for key, versions in record["objects"].items():
        for version in versions:
            if "body" in version and not bodies.has(version["body"]):
                missing.append(key)
            else:
                bucket.keys[key] = _version(backend, bucket, key, version, bodies)
    return missing


def _bucket(backend: Any, bucket: FakeBucket, bodies: Bodies) -> Record:
    return {
        "name": bucket.name,
        "region": bucket.region_name,
        "created": bucket.creation_date.isoformat(),
        "versioning": bucket.versioning_status,
        "tags": backend.tagger.get_tag_dict_for_resource(bucket.arn),
        "objects": {
            key: [_described(backend, version, bodies) for version in bucket.keys.getlist(key)]
            for key in sorted(bucket.keys)
        },
    }


def _described(backend: Any, version: Any, bodies: Bodies) -> Record:
    common = {"version": version._version_id, "modified": version.last_modified.isoformat()}
    if isinstance(version, FakeDeleteMarker):
        return {**common, "deleted": True}
    return {
        **common,
        "body": bodies.name_of(version),
        "size": version.contentsize,
        "etag": version.etag.strip('"'),
        "class": version.storage_class,
        "metadata": dict(version.metadata),
        "tags": backend.tagger.get_tag_dict_for_resource(version.arn),
        **{name: value for name in COPIED if (value := getattr(version, name)) is not None},
    }


def _version(backend: Any, bucket: FakeBucket, name: str, record: Record, bodies: Bodies) -> FakeKey | FakeDeleteMarker:
    key: Any = FakeKey(
        name,
        b"",
        bucket.account_id,
        bucket.region_name,
        storage=record.get("class"),
        etag=record.get("etag"),
        is_versioned=bucket.is_versioned,
        version_id=record["version"],
        bucket_name=bucket.name,
    )
    key.last_modified = datetime.fromisoformat(record["modified"])
    if record.get("deleted"):
        marker: Any = FakeDeleteMarker(key)
        marker._version_id, marker.last_modified = record["version"], key.last_modified
        return marker  # type: ignore[no-any-return]
    key._value_buffer = bodies.get(record["body"])
    key.contentsize = record["size"]
    key.set_metadata(record["metadata"], replace=False)
    for attribute in COPIED:
        if attribute in record:
            setattr(key, attribute, record[attribute])
    if record["tags"]:
        backend.tagger.tag_resource(key.arn, [{"Key": k, "Value": v} for k, v in record["tags"].items()])
    return key  # type: ignore[no-any-return]
