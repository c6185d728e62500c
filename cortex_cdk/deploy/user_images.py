"""The user's own images, named by digest as far as ECR tells.

A tag may be moved while replicas run. With the digest in the task definition all replicas of a revision run the same
image, and ``cortex deploy`` sees that the tag names another one now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.config import RealtimeApi
from cortex_cdk.image_reference import parse_ecr

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_MISSING = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})


def own_images(cloud: Cloud, apis: Iterable[RealtimeApi]) -> dict[str, str | None]:
    """Look up each ``predictor.image``.

    Images outside the region's ECR, and those that may not be asked for, are used as they are named: ECS resolves
    their tags itself, once for each deployment (ContainerDefinition, versionConsistency).

    Args:
        cloud: A session of the environment.
        apis: APIs; those without an image of their own are left out.

    Returns:
        References by the API's name, by digest where ECR tells it; None where ECR says that there is no such image.
    """
    return {api.name: by_digest(cloud, api.predictor.image) for api in apis if api.predictor.image}


def by_digest(cloud: Cloud, image: str) -> str | None:
    """Look up an image in ECR.

    Returns:
        Its reference by digest; as it is named where ECR may not be asked, or has it not; None where ECR says that
        there is no such image.
    """
    from botocore.exceptions import ClientError

    named = parse_ecr(image)
    if named is None or named.region != cloud.ecr.meta.region_name:
        return image
    which: ImageIdentifierTypeDef = (
        {"imageDigest": named.digest} if named.digest else {"imageTag": named.tag or "latest"}
    )
    try:
        described = cloud.ecr.describe_images(
            registryId=named.account, repositoryName=named.repository, imageIds=[which]
        )
    except ClientError as error:
        return None if error_code(error) in _MISSING else image
    address = image.partition("@")[0].removesuffix(f":{named.tag}" if named.tag else "")
    return f"{address}@{described['imageDetails'][0]['imageDigest']}"
