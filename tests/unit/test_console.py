"""Links to the AWS console: only where AWS itself answers."""

import pytest

from cortex_cdk.cloud import Cloud
from cortex_cdk.console import links


class Session:
    def __init__(self, region):
        self.region_name = region


def test_the_pages_of_an_api():
    pages = links(Cloud(Session("eu-west-1"), None), "prod", "iris")
    assert pages.dashboard == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard/cortex-prod"
    )
    assert pages.logs.endswith("#logsV2:log-groups/log-group/$252Fcortex$252Fprod$252Firis")
    assert pages.service == (
        "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/cortex-prod/services/iris/health?region=eu-west-1"
    )


def test_a_splitter_has_the_dashboard_of_its_cluster_only():
    pages = links(Cloud(Session("eu-west-1"), None), "prod", None)
    assert (pages.logs, pages.service) == (None, None)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    ],
)
def test_other_partitions_have_consoles_of_their_own(region, host):
    assert links(Cloud(Session(region), None), "prod", "iris").dashboard.startswith(f"https://{host}/")


def test_what_another_endpoint_answers_is_in_no_console():
    assert links(Cloud(Session("us-east-1"), "http://127.0.0.1:4566"), "local", "iris") is None
