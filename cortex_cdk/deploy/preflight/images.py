"""Whether the user's own images exist, as far as ECR tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MISSING = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})


def check_images(deployment: Deployment) -> Iterator[Finding]:
    """Look for each ``predictor.image`` that is in ECR. Images of other registries are left to ECS."""
    for api in deployment.wanted.config.apis:
        image = api.predictor.image
        if image and _is_missing(deployment.cloud, image):
            yield Finding(
                api.name,
                f"predictor.image {image} does not exist",
                "push it, correct its name, or leave predictor.image out: an image is built from requirements.txt then",
            )


def _is_missing(cloud: Cloud, image: str) -> bool:
    from botocore.exceptions import ClientError

    match = _REFERENCE.fullmatch(image)
    if match is None or match["region"] != cloud.ecr.meta.region_name:
        return False
    which: ImageIdentifierTypeDef = (
        {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}
    )
    try:
        cloud.ecr.describe_images(registryId=match["account"], repositoryName=match["repository"], imageIds=[which])
    except ClientError as error:
        if error_code(error) in _MISSING:
            return True
        raise
    return False
