"""The ECS services of APIs, as ECS describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

SERVICES_A_CALL = 10
"""How many services DescribeServices takes."""
PARALLEL_CALLS = 4
"""ECS allows 20 reads of a cluster's resources a second, and 50 at once ("Request throttling for the ECS API")."""
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
    api_of = {names.service(api): api for api in apis}
    services = list(api_of)
    batches = [services[start : start + SERVICES_A_CALL] for start in range(0, len(services), SERVICES_A_CALL)]
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        answers = pool.map(lambda batch: _describe(cloud, names.ecs_cluster(cluster), batch), batches)
        return {api_of[s["serviceName"]]: s for answer in answers for s in answer if s["status"] != "INACTIVE"}


def _describe(cloud: Cloud, ecs_cluster: str, services: list[str]) -> list[ServiceTypeDef]:
    from botocore.exceptions import ClientError

    try:
        return cloud.ecs.describe_services(cluster=ecs_cluster, services=services)["services"]
    except ClientError as error:
        if error_code(error) not in _MISSING:
            raise
        return []


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
