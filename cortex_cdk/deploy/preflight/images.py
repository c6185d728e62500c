"""Whether the user's own images exist: asked before anything is created, as far as ECR tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.config import RealtimeApi
from cortex_cdk.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MISSING = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})


def check_own_images(cloud: Cloud, apis: Iterable[RealtimeApi]) -> None:
    """Look for each ``predictor.image`` that is in ECR. Others, and those that may not be asked for, are left to ECS.

    Raises:
        DeployError: At least one does not exist.
    """
    missing = [api for api in apis if api.predictor.image and _is_missing(cloud, api.predictor.image)]
    if missing:
        texts = [f"{api.name}: predictor.image {api.predictor.image} does not exist" for api in missing]
        hint = "push it, correct its name, or leave predictor.image out: an image is built from requirements.txt then"
        raise DeployError(texts[0], hint=hint, details=texts[1:])


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
        return error_code(error) in _MISSING
    return False
