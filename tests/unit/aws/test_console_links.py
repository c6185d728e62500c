"""Links to the AWS console: only where AWS itself answers."""

from typing import Any

import pytest

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.console_links import Links, links


class Session:
    def __init__(self, region: str) -> None:
        self.region_name = region


def cloud(region: str, endpoint_url: str | None = None) -> Cloud:
    """A door that nobody goes through: of a session only the region is read."""
    session: Any = Session(region)
    return Cloud(session, endpoint_url)


def pages_of(region: str, cluster: str, api: str | None) -> Links:
    """The pages where AWS itself answers."""
    pages = links(cloud(region), cluster, api)
    assert pages
    return pages


def test_the_pages_of_an_api() -> None:
    pages = pages_of("eu-west-1", "prod", "iris")
    assert pages.dashboard == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard/cortex-prod"
    )
    assert pages.logs
    assert pages.logs.endswith("#logsV2:log-groups/log-group/$252Fcortex$252Fprod$252Firis")
    assert pages.service == (
        "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/cortex-prod/services/iris/health?region=eu-west-1"
    )


def test_a_splitter_has_the_dashboard_of_its_cluster_only() -> None:
    pages = pages_of("eu-west-1", "prod", None)
    assert (pages.logs, pages.service) == (None, None)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    ],
)
def test_other_partitions_have_consoles_of_their_own(region: str, host: str) -> None:
    assert pages_of(region, "prod", "iris").dashboard.startswith(f"https://{host}/")


def test_what_another_endpoint_answers_is_in_no_console() -> None:
    assert links(cloud("us-east-1", "http://127.0.0.1:4566"), "local", "iris") is None
