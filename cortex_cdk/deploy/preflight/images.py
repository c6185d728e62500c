"""The user's own images: looked up before anything is created, and named by digest, as far as ECR tells.

A tag may be moved while replicas run. With the digest in the task definition all replicas of a revision run the same
image, and ``cortex deploy`` sees that the tag names another one now.
"""

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
    r"(?P<address>(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+))"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MISSING = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})


def own_images(cloud: Cloud, apis: Iterable[RealtimeApi]) -> dict[str, str]:
    """Look up each ``predictor.image``.

    Images outside the region's ECR, and those that may not be asked for, are used as they are named: ECS resolves
    their tags itself, once for each deployment (ContainerDefinition, versionConsistency).

    Returns:
        The reference by the API's name; by digest where ECR told which image it is.

    Raises:
        DeployError: At least one does not exist.
    """
    named = {api.name: api.predictor.image for api in apis if api.predictor.image}
    found = {api: _by_digest(cloud, image) for api, image in named.items()}
    missing = [api for api, image in found.items() if image is None]
    if missing:
        texts = [f"{api}: predictor.image {named[api]} does not exist" for api in missing]
        hint = "push it, correct its name, or leave predictor.image out: an image is built from requirements.txt then"
        raise DeployError(texts[0], hint=hint, details=texts[1:])
    return {api: image for api, image in found.items() if image}


def _by_digest(cloud: Cloud, image: str) -> str | None:
    """The image's reference, by digest where ECR tells; None where ECR says that there is none."""
    from botocore.exceptions import ClientError

    match = _REFERENCE.fullmatch(image)
    if match is None or match["region"] != cloud.ecr.meta.region_name:
        return image
    which: ImageIdentifierTypeDef = (
        {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}
    )
    try:
        described = cloud.ecr.describe_images(
            registryId=match["account"], repositoryName=match["repository"], imageIds=[which]
        )
    except ClientError as error:
        return None if error_code(error) in _MISSING else image
    return f"{match['address']}@{described['imageDetails'][0]['imageDigest']}"
