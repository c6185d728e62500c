"""The IAM action of each call of the AWS API.

Source: "Service Authorization Reference", whose names differ from those of the API where this module says so.
"""

from __future__ import annotations

PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "service-quotas": "servicequotas",
}
OF_S3 = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}


def action_of(service: str, operation: str) -> str:
    """The action that a call needs.

    Args:
        service: The service, as boto3 names it.
        operation: Such as ``DescribeServices``.
    """
    return f"{PREFIXES.get(service, service)}:{OF_S3.get(operation, operation) if service == 's3' else operation}"
