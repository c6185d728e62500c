"""Pages of the AWS console that show more than a terminal can."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud

PARTITIONS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True)
class Links:
    """Addresses of pages of the AWS console.

    Attributes:
        dashboard: The cluster's dashboard.
        logs: The log group of an API; None for a traffic splitter.
        service: The ECS service of an API; None for a traffic splitter.
    """

    dashboard: str
    logs: str | None = None
    service: str | None = None


def links(cloud: Cloud, cluster: str, api: str | None) -> Links | None:
    """Name the console pages about an API or a cluster.

    Args:
        cloud: Gives the region.
        cluster: The environment's cluster.
        api: The API's name; None for the pages about the cluster.

    Returns:
        None where the AWS console shows nothing of the cloud.
    """
    if not cloud.has_console:
        return None
    base = f"https://{cloud.region}.{_domain(cloud.region)}"
    watch = f"{base}/cloudwatch/home?region={cloud.region}#"
    dashboard = f"{watch}dashboards/dashboard/{names.dashboard(cluster)}"
    if api is None:
        return Links(dashboard)
    # The console unquotes its fragment twice, and writes "$" for "%".
    group = quote(quote(names.log_group(cluster, api), safe=""), safe="").replace("%", "$")
    service = f"clusters/{names.ecs_cluster(cluster)}/services/{names.service(api)}"
    return Links(
        dashboard,
        logs=f"{watch}logsV2:log-groups/log-group/{group}",
        service=f"{base}/ecs/v2/{service}/health?region={cloud.region}",
    )


def _domain(region: str) -> str:
    return next(
        (domain for prefix, domain in PARTITIONS.items() if region.startswith(prefix)), "console.aws.amazon.com"
    )
