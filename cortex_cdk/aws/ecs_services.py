"""The ECS service of an API, as ECS describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

SERVICES_A_CALL = 10
"""How many services DescribeServices takes."""


def describe_service(cloud: Cloud, cluster: str, api: str) -> ServiceTypeDef | None:
    """The service of an API, or None where there is none (or only a deleted one).

    Args:
        cluster: The environment's cluster (not the ECS cluster's name).
        api: The API's name.
    """
    from botocore.exceptions import ClientError

    try:
        answer = cloud.ecs.describe_services(cluster=names.ecs_cluster(cluster), services=[names.service(api)])
    except ClientError as error:
        if error_code(error) in ("ServiceNotFoundException", "ClusterNotFoundException"):
            return None
        raise
    living = [service for service in answer["services"] if service["status"] != "INACTIVE"]
    return living[0] if living else None
