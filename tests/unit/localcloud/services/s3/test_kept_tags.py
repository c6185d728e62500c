"""What is kept of objects that are gone."""

from __future__ import annotations

from moto.s3.models import S3Backend

from cortex_cdk.localcloud.services.s3.kept_tags import forget_tags_of_gone_objects


def put(backend: S3Backend, bucket: str, name: str, tag: str) -> None:
    key = backend.put_object(bucket, name, b"content")
    backend.put_object_tagging(key, {"tag": tag})


def test_tags_of_objects_that_are_there_stay_and_those_of_overwritten_and_deleted_ones_go() -> None:
    backend = S3Backend("us-east-1", "123456789012")
    for bucket in ("plain", "versioned"):
        backend.create_bucket(bucket, "us-east-1")
        backend.put_bucket_tagging(bucket, {"of": bucket})
    backend.put_bucket_versioning("versioned", "Enabled")
    for number in range(3):
        put(backend, "plain", "overwritten", str(number))
        put(backend, "versioned", "kept", str(number))
    put(backend, "plain", "deleted", "x")
    backend.delete_object("plain", "deleted")
    backend.delete_object("versioned", "kept")  # leaves a marker, and the versions

    forget_tags_of_gone_objects(backend)

    assert sorted(str(tags) for tags in backend.tagger.tags.values()) == [
        "{'of': 'plain'}",
        "{'of': 'versioned'}",
        "{'tag': '0'}",
        "{'tag': '1'}",
        "{'tag': '2'}",
        "{'tag': '2'}",
    ]
