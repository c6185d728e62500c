"""Puts files into the cluster's bucket under names made from their content, so that nothing is sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code

MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


def exists(cloud: Cloud, bucket: str, key: str) -> bool:
    """Whether a bucket has an object of that key."""
    from botocore.exceptions import ClientError

    try:
        cloud.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in MISSING:
            return False
        raise
    return True


def upload(cloud: Cloud, path: Path, bucket: str, keys: Sequence[str]) -> bool:
    """Put a file where the bucket does not have it: it is sent once, and copied in the bucket to the other keys.

    Args:
        cloud: A session of the environment.
        path: The file.
        bucket: The cluster's bucket.
        keys: Where to, each made from the file's content.

    Returns:
        Whether the file was sent.
    """
    missing = [key for key in keys if not exists(cloud, bucket, key)]
    source = next((key for key in keys if key not in missing), None)
    was_sent = bool(missing) and source is None
    if was_sent:
        source = missing.pop(0)
        cloud.s3.upload_file(str(path), bucket, source)
    for key in missing:
        cloud.s3.copy({"Bucket": bucket, "Key": str(source)}, bucket, key)
    return was_sent
