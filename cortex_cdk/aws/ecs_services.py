"""The ECS services of APIs, as ECS describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

SERVICES_A_CALL = 10
"""How many services DescribeServices takes."""
_MISSING = frozenset({"ServiceNotFoundException", "ClusterNotFoundException"})


def describe_services(cloud: Cloud, cluster: str, apis: Iterable[str]) -> dict[str, ServiceTypeDef]:
    """Describe the ECS services of APIs, ten with a call.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster (not the ECS cluster's name).
        apis: Names of APIs.

    Returns:
        Services by API; an API whose service does not exist, or was deleted, is left out.
    """
    from botocore.exceptions import ClientError

    api_of = {names.service(api): api for api in apis}
    services, found = list(api_of), {}
    for start in range(0, len(services), SERVICES_A_CALL):
        batch = services[start : start + SERVICES_A_CALL]
        try:
            answer = cloud.ecs.describe_services(cluster=names.ecs_cluster(cluster), services=batch)
        except ClientError as error:
            if error_code(error) not in _MISSING:
                raise
            continue
        found.update({api_of[s["serviceName"]]: s for s in answer["services"] if s["status"] != "INACTIVE"})
    return found


def all_services(cloud: Cloud, cluster: str) -> Iterator[ServiceTypeDef]:
    """Describe every ECS service of a cluster.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster (not the ECS cluster's name).

    Raises:
        ClientError: There is no such ECS cluster (``ClusterNotFoundException``).
    """
    ecs_cluster = names.ecs_cluster(cluster)
    pages = cloud.ecs.get_paginator("list_services").paginate(
        cluster=ecs_cluster, PaginationConfig={"PageSize": SERVICES_A_CALL}
    )
    for page in (page for page in pages if page["serviceArns"]):
        yield from cloud.ecs.describe_services(cluster=ecs_cluster, services=page["serviceArns"])["services"]


def describe_service(cloud: Cloud, cluster: str, api: str) -> ServiceTypeDef | None:
    """Describe the service of one API; None where there is none, or only a deleted one."""
    return describe_services(cloud, cluster, [api]).get(api)
