"""Reads what else is wrong with an API that its status does not tell: unready replicas, instances that go, outages.

The status says how many replicas serve and why others do not. A cause is a fact that AWS reports while enough of them
serve, or besides. Each reading is one call or two; all run at once. What the user may not read tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code, error_message
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.status.metrics import Latency
from cortex_cdk.status.read_status import ApiStatus

SLOW_SECONDS = 1.0
SLOW_FACTOR = 20
"""An answer of a second that takes twenty times as long as half of the others is worth a word."""


@dataclass(frozen=True)
class Cause:
    """Something that is wrong with an API.

    Attributes:
        subject: ``health checks``, ``instances``, ``latency``, ``logs`` or ``storage``.
        message: What is wrong, and what follows from that, in one line.
    """

    subject: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return asdict(self)


def read_causes(
    cloud: Cloud, cluster: RunningCluster, api: ApiStatus, read_latency: Callable[[], Latency | None]
) -> tuple[Cause, ...]:
    """Read what is wrong with an API now.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API.
        read_latency: How long its answers took in the last minutes; None where that is not known.
    """
    readers: Sequence[Callable[[], Cause | None]] = (
        lambda: _unready(cloud, cluster, api),
        lambda: _leaving(cloud, cluster),
        lambda: _slow(read_latency()),
        lambda: _unreachable("logs", LOGS, lambda: _ask_logs(cloud, cluster, api)),
        lambda: _unreachable(
            "storage", STORAGE, lambda: cloud.impatient.s3.head_bucket(Bucket=cluster.resources.bucket)
        ),
    )
    with ThreadPoolExecutor(len(readers)) as pool:
        return tuple(cause for cause in pool.map(_if_allowed, readers) if cause)


LOGS = (
    "CloudWatch Logs does not answer ({}): lines and metrics of replicas wait there, and are lost when they become too "
    "many; requests are answered as before"
)
STORAGE = "S3 does not answer ({}): replicas that run go on; new ones cannot fetch the project, and deployments fail"


def _if_allowed(read: Callable[[], Cause | None]) -> Cause | None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return read()
    except (ClientError, BotoCoreError):
        return None


def _unready(cloud: Cloud, cluster: RunningCluster, api: ApiStatus) -> Cause | None:
    if not api.target_group:
        return None
    answer = cloud.elbv2.describe_target_health(TargetGroupArn=cluster.target_group_arn(api.target_group))
    targets = [target["TargetHealth"] for target in answer["TargetHealthDescriptions"]]
    unready = [target for target in targets if target["State"] == "unhealthy"]
    if not unready:
        return None
    count = len(unready)
    why = unready[0].get("Description") or unready[0].get("Reason", "no reason given")
    fails = "fails its health check" if count == 1 else "fail their health checks"
    return Cause("health checks", f"{count} of {len(targets)} replicas {fails}: {why}")


def _leaving(cloud: Cloud, cluster: RunningCluster) -> Cause | None:
    ecs_cluster = names.ecs_cluster(cluster.name)
    arns = cloud.ecs.list_container_instances(cluster=ecs_cluster, status="DRAINING")["containerInstanceArns"]
    if not arns:
        return None
    described = cloud.ecs.describe_container_instances(cluster=ecs_cluster, containerInstances=arns[:100])
    leaving = [
        f"{one['ec2InstanceId']} of instance group {names.instance_group(cluster.name, one['capacityProviderName'])}"
        for one in described["containerInstances"]
        if one.get("capacityProviderName")
    ]
    if not leaving:
        return None
    return Cause(
        "instances",
        f"{', '.join(leaving)} drains, and its replicas move to other instances: EC2 takes a spot instance back, "
        "or the group gets smaller",
    )


def _slow(latency: Latency | None) -> Cause | None:
    if latency is None or not _is_slow(latency):
        return None
    return Cause(
        "latency",
        f"some answers of the last minutes took {latency.longest:.1f} s, half of them {latency.median * 1000:.0f} ms "
        "at most: a replica, or some payloads, are much slower than the others",
    )


def _is_slow(latency: Latency) -> bool:
    return latency.longest >= max(SLOW_SECONDS, SLOW_FACTOR * latency.median)


def _ask_logs(cloud: Cloud, cluster: RunningCluster, api: ApiStatus) -> object:
    return cloud.impatient.logs.describe_log_streams(logGroupName=names.log_group(cluster.name, api.name), limit=1)


def _unreachable(subject: str, words: str, ask: Callable[[], object]) -> Cause | None:
    """Ask a service once. An error of the service itself is a cause; others, such as a lack of permission, are none."""
    from botocore.exceptions import ClientError

    try:
        ask()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error_code(error)
        # The answer to HEAD has no body, and so no code but the status.
        said = f"status {status}" if code in ("", str(status)) else f"{code}: {error_message(error)}".rstrip(".")
        return Cause(subject, words.format(said)) if status >= 500 else None
    return None
