"""Puts files into the cluster's bucket under names made from their content, so that nothing is sent twice."""

from __future__ import annotations

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


def upload(cloud: Cloud, path: Path, bucket: str, key: str) -> bool:
    """Upload a file unless the bucket has it.

    Args:
        cloud: A session of the environment.
        path: The file.
        bucket: The cluster's bucket.
        key: Where to, made from the file's content.

    Returns:
        Whether the file was sent.
    """
    if exists(cloud, bucket, key):
        return False
    cloud.s3.upload_file(str(path), bucket, key)
    return True
