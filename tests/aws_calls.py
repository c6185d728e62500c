"""The IAM action of each call of the AWS API.

Source: "Service Authorization Reference", whose names differ from those of the API where this module says so.
"""

from __future__ import annotations

from pathlib import Path

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


def recording(folder: Path) -> dict[str, str]:
    """The variables that let a ``cortex`` executable write down its calls.

    Args:
        folder: Where to; an empty folder.
    """
    return {
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "recorder=aws_call_recorder",
        "PYTHONPATH": str(Path(__file__).with_name("recorder")),
        "RECORDED_CALLS": str(folder),
    }


def recorded(folder: Path) -> set[str]:
    """The actions of the calls that were written down."""
    calls = {line for file in folder.iterdir() for line in file.read_text().splitlines()}
    return {action_of(*call.split()) for call in calls}
