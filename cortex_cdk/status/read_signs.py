"""Reads what AWS reports of an API besides its status. Each reading is one call or two; all run at once.

What the user may not read tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code, error_message, if_allowed
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.status.evidence import Signs
from cortex_cdk.status.metrics import Recent
from cortex_cdk.status.read_status import ApiStatus

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_elbv2.type_defs import TargetHealthTypeDef


def read_signs(cloud: Cloud, cluster: RunningCluster, api: ApiStatus, recent: Callable[[], Recent]) -> Signs:
    """Read what is reported of an API now.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API.
        recent: Reads the requests of the last minutes.
    """
    with ThreadPoolExecutor(5) as pool:
        targets = pool.submit(if_allowed, lambda: _targets(cloud, cluster, api), ())
        leaving = pool.submit(if_allowed, lambda: read_leaving(cloud, cluster), ())
        requests = pool.submit(if_allowed, recent, Recent())
        logs = pool.submit(if_allowed, lambda: _logs_error(cloud, cluster, api), None)
        storage = pool.submit(if_allowed, lambda: read_storage_error(cloud, cluster), None)
        return Signs(targets.result(), leaving.result(), requests.result(), logs.result(), storage.result())


def _targets(cloud: Cloud, cluster: RunningCluster, api: ApiStatus) -> Sequence[TargetHealthTypeDef]:
    if not api.target_group:
        return ()
    answer = cloud.elbv2.describe_target_health(TargetGroupArn=cluster.target_group_arn(api.target_group))
    return [target["TargetHealth"] for target in answer["TargetHealthDescriptions"]]


def read_leaving(cloud: Cloud, cluster: RunningCluster) -> Sequence[str]:
    """Read which instances of a cluster drain, in words."""
    ecs_cluster = names.ecs_cluster(cluster.name)
    arns = cloud.ecs.list_container_instances(cluster=ecs_cluster, status="DRAINING")["containerInstanceArns"]
    if not arns:
        return ()
    described = cloud.ecs.describe_container_instances(cluster=ecs_cluster, containerInstances=arns[:100])
    return [
        f"{one['ec2InstanceId']} of instance group {names.instance_group(cluster.name, one['capacityProviderName'])}"
        for one in described["containerInstances"]
        if one.get("capacityProviderName")
    ]


def _logs_error(cloud: Cloud, cluster: RunningCluster, api: ApiStatus) -> str | None:
    group = names.log_group(cluster.name, api.name)
    return outage(lambda: cloud.impatient.logs.describe_log_streams(logGroupName=group, limit=1))


def read_storage_error(cloud: Cloud, cluster: RunningCluster) -> str | None:
    """Ask S3 once. Returns what it answered, where it does not do its work."""
    return outage(lambda: cloud.impatient.s3.head_bucket(Bucket=cluster.resources.bucket))


def outage(ask: Callable[[], object]) -> str | None:
    """Ask a service once. Returns its own error; None for an answer, and for others, such as a lack of permission."""
    from botocore.exceptions import ClientError

    try:
        ask()
    except ClientError as error:
        return own_error(error)
    return None


def own_error(error: ClientError) -> str | None:
    """Word an error that is the service's own fault; None for others."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error_code(error)
    if status < 500:
        return None
    # The answer to HEAD has no body, and so no code but the status.
    return f"status {status}" if code in ("", str(status)) else f"{code}: {error_message(error)}".rstrip(".")
