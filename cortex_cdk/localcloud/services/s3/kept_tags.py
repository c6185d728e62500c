"""Bounds what is kept of objects that are gone: moto keeps the tags of each object that was overwritten."""

from __future__ import annotations

from moto.s3.models import FakeKey, S3Backend


def forget_tags_of_gone_objects(backend: S3Backend) -> None:
    """Forget the tags of all but the buckets and objects, with all their versions, that are there."""
    there = set()
    for bucket in backend.buckets.values():
        there.add(bucket.arn)
        versions = (one for _, versions in bucket.keys.iterlists() for one in versions)
        there.update(one.arn for one in versions if isinstance(one, FakeKey))  # others are delete markers
    for arn in backend.tagger.tags.keys() - there:
        del backend.tagger.tags[arn]
