"""Tells which actions an S3 call needs, on which resources.

Source: Amazon S3 user guide, "Required permissions for Amazon S3 API operations"; the condition keys: Service
Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import xmltodict
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends

from cortex_cdk.localcloud.services.iam.api_call import ApiCall
from cortex_cdk.localcloud.services.iam.decision import Access, Document
from cortex_cdk.localcloud.services.iam.keys import use_of_key
from cortex_cdk.localcloud.services.iam.patterns import Context
from cortex_cdk.localcloud.settings import ACCOUNT_ID, PARTITION

ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
"""Operations whose action has another name."""
VERSIONED = {
    "DeleteObject": "DeleteObjectVersion",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObject": "GetObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "GetObjectAttributes": "GetObjectVersionAttributes",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectAcl": "PutObjectVersionAcl",
    "PutObjectTagging": "PutObjectVersionTagging",
}
"""Actions of calls that name a version."""
QUERY_KEYS = {
    "prefix": "s3:prefix",
    "delimiter": "s3:delimiter",
    "max-keys": "s3:max-keys",
    "versionId": "s3:versionid",
}
HEADER_KEYS = (
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
)
KMS_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
READS, WRITES = ("GetObject", "GetObjectVersion"), ("PutObject",)


def accesses(call: ApiCall) -> Iterator[Access]:
    """Yield what a call needs, in the order in which S3 would miss it."""
    bucket, key = call.text("Bucket"), call.text("Key")
    name = ACTIONS.get(call.operation, call.operation)
    if call.text("versionId"):
        name = VERSIONED.get(name, name)
    context = _context(call)
    if not bucket:
        yield Access(f"s3:{name}", "*", context)
        return
    for one in _keys_to_delete(call) if call.operation == "DeleteObjects" else [key]:
        yield Access(f"s3:{name}", arn(bucket, one), {**context, **_tags(bucket, one)})
    if call.operation == "GetObjectAttributes":
        yield Access("s3:GetObject", arn(bucket, key), context)
    if "x-amz-tagging" in call.headers and name == "PutObject":
        yield Access("s3:PutObjectTagging", arn(bucket, key), context)
    source = unquote(call.headers.get("x-amz-copy-source", "")).lstrip("/").partition("?")[0]
    if source:
        yield Access("s3:GetObject", arn(*source.partition("/")[::2]), context)
        yield from _reading(*source.partition("/")[::2])
    if key and name in READS:
        yield from _reading(bucket, key)
    if key and name in WRITES:
        yield from _writing(call, bucket, key)


def arn(bucket: str, key: str = "") -> str:
    """Return the ARN of a bucket, or of an object."""
    return f"arn:{PARTITION}:s3:::{bucket}/{key}" if key else f"arn:{PARTITION}:s3:::{bucket}"


def bucket_policies(call: ApiCall) -> list[Document]:
    """Return the policy of the bucket that a call is about, if it has one."""
    bucket = _bucket(call.text("Bucket"))
    return [json.loads(bucket.policy)] if bucket is not None and bucket.policy else []


def _bucket(name: str) -> Any:
    return s3_backends[ACCOUNT_ID][PARTITION].buckets.get(name)


def _object(bucket: str, key: str) -> Any:
    try:
        return s3_backends[ACCOUNT_ID][PARTITION].get_object(bucket, key)
    except S3ClientError:
        return None


def _reading(bucket: str, key: str) -> Iterator[Access]:
    """Yield what reading an object needs besides: its key of KMS, or to know that there is no such object."""
    found = _object(bucket, key)
    if found is None:
        # Whoever may not list must not learn that there is none: 403, not 404 (API reference of GetObject).
        yield Access("s3:ListBucket", arn(bucket))
    elif found.encryption == "aws:kms":
        yield from _use(found.kms_key_id, "kms:Decrypt", bucket, key)


def _writing(call: ApiCall, bucket: str, key: str) -> Iterator[Access]:
    named = call.headers.get(KMS_HEADER)
    default = getattr(_bucket(bucket), "encryption", None)
    if default and not named:
        named = default["Rule"]["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    yield from _use(named, "kms:GenerateDataKey", bucket, key)


def _use(key_id: str | None, action: str, bucket: str, key: str) -> Iterable[Access]:
    return use_of_key(key_id, action, "s3", {"kms:encryptioncontext:aws:s3:arn": (arn(bucket, key),)})


def _context(call: ApiCall) -> Context:
    found = {key: (str(call.parameters[name]),) for name, key in QUERY_KEYS.items() if name in call.parameters}
    headers = {f"s3:{name}": (call.headers[name],) for name in HEADER_KEYS if name in call.headers}
    return {**found, **headers, "aws:resourceaccount": (ACCOUNT_ID,), "s3:resourceaccount": (ACCOUNT_ID,)}


def _tags(bucket: str, key: str) -> Context:
    found = _object(bucket, key) if key else None
    if found is None:
        return {}
    tags = s3_backends[ACCOUNT_ID][PARTITION].tagger.get_tag_dict_for_resource(found.arn)
    return {f"s3:existingobjecttag/{name.lower()}": (value,) for name, value in tags.items()}


def _keys_to_delete(call: ApiCall) -> list[str]:
    found = xmltodict.parse(call.body).get("Delete", {}).get("Object", [])
    return [str(one["Key"]) for one in (found if isinstance(found, list) else [found])]
