"""The cluster's bucket, for project archives and build contexts, both named by their content."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cortex_cdk import names
from cortex_stacks.constructs.permissions import acknowledge

BUILD_CONTEXT_DAYS = 7
OLD_VERSION_DAYS = 30


def cluster_bucket(scope: Construct) -> s3.Bucket:
    """Make the bucket. It outlives its stack, as only the user may decide to delete data."""
    bucket = s3.Bucket(
        scope,
        "Bucket",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        versioned=True,
        # Kept when the cluster is removed, but not when the cluster could not be made.
        removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="leftovers",
                abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                noncurrent_version_expiration=cdk.Duration.days(OLD_VERSION_DAYS),
            ),
            s3.LifecycleRule(
                id="build-contexts",
                prefix=names.BUILD_CONTEXT_PREFIX,
                expiration=cdk.Duration.days(BUILD_CONTEXT_DAYS),
            ),
        ],
    )
    acknowledge(
        bucket, "AwsSolutions-S1", "access logs would need a second bucket; CloudTrail data events record access"
    )
    return bucket
