"""Keeps the configuration of what is deployed in the cluster's bucket, under the digest of its stack's specification.

The template alone would not do: a template has room for 51,200 bytes only.
"""

from __future__ import annotations

import json
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.synthesis.specs import ApiStackSpec, SplitterStackSpec

HIDDEN = "***"


def store_configuration(cloud: Cloud, bucket: str, spec: ApiStackSpec | SplitterStackSpec) -> None:
    """Keep the configuration of an API or splitter.

    Args:
        cloud: Where the bucket is.
        bucket: The cluster's bucket.
        spec: What its template is made from.
    """
    body = json.dumps(spec.resource.model_dump(mode="json")).encode()
    cloud.s3.put_object(Bucket=bucket, Key=names.configuration_key(spec.digest), Body=body)


def read_configuration(cloud: Cloud, bucket: str, digest: str) -> dict[str, Any]:
    """Read the configuration of a deployed API or splitter.

    Args:
        cloud: Where the bucket is.
        bucket: The cluster's bucket.
        digest: The output ``SpecDigest`` of its stack.

    Returns:
        The fields of ``cortex.yaml``, by section; empty where none is kept, as of stacks of an older version.
    """
    from botocore.exceptions import ClientError

    try:
        body = cloud.s3.get_object(Bucket=bucket, Key=names.configuration_key(digest))["Body"].read()
    except ClientError:
        return {}
    configuration: dict[str, Any] = json.loads(body)
    return configuration


def without_values_of_env(configuration: dict[str, Any]) -> dict[str, Any]:
    """Hide the values of environment variables, which may be secrets, in a configuration that people see."""
    predictor = configuration.get("predictor") or {}
    if not predictor.get("env"):
        return configuration
    return {**configuration, "predictor": {**predictor, "env": dict.fromkeys(predictor["env"], HIDDEN)}}
