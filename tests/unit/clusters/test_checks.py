"""What AWS says of a cluster before it is made. Its answers are given by botocore's own stubber."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.checks import WantedCluster, check, check_account, check_machine_images, quota_code
from cortex_cdk.config import Cluster
from cortex_cdk.errors import ClusterError

GPU = {"name": "gpu", "instance_types": ["g4dn.xlarge"], "min_instances": 1, "max_instances": 4}
ZONES = ["us-east-1a", "us-east-1b"]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud.without_account("us-east-1", "http://127.0.0.1:9")


def cluster(**settings: Any) -> Cluster:
    return Cluster.model_validate({"instance_groups": [GPU], "availability_zones": ZONES, **settings})


def findings(
    cloud: Cloud,
    *,
    quota: float | None,
    offered: list[tuple[str, str]],
    settings: dict[str, Any] | None = None,
) -> list[tuple[str, bool]]:
    """What the checks of a change say; a quota of None is one that may not be read."""
    quotas, ec2 = Stubber(cloud.service_quotas), Stubber(cloud.ec2)
    if quota is None:
        quotas.add_client_error("get_service_quota", "AccessDeniedException")
    else:
        quotas.add_response("get_service_quota", {"Quota": {"Value": quota}})
    offerings = [{"InstanceType": name, "Location": zone} for name, zone in offered]
    ec2.add_response("describe_instance_type_offerings", {"InstanceTypeOfferings": offerings})
    with quotas, ec2:
        found = check(WantedCluster(cloud, cluster(**(settings or {})), is_new=False))
        quotas.assert_no_pending_responses()
        ec2.assert_no_pending_responses()
    return [(finding.message, finding.fatal) for finding in found]


EVERYWHERE = [("g4dn.xlarge", zone) for zone in ZONES]


def test_enough_of_everything(cloud: Cloud) -> None:
    assert findings(cloud, quota=16, offered=EVERYWHERE) == []


@pytest.mark.parametrize(
    ("quota", "text", "fatal"),
    [
        (0, "may have 0 vCPUs of g4dn.xlarge (quota L-DB2E81BA), and the fewest instances need 4", True),
        (3, "may have 3 vCPUs", True),
        (15, "may have 15 vCPUs of g4dn.xlarge (quota L-DB2E81BA), and the most instances need 16", False),
    ],
)
def test_too_few_vcpus(cloud: Cloud, quota: float, text: str, fatal: bool) -> None:
    [found] = findings(cloud, quota=quota, offered=EVERYWHERE)
    assert text in found[0]
    assert found[1] is fatal


def test_no_vcpus_for_a_group_that_starts_empty_is_a_warning(cloud: Cloud) -> None:
    [found] = findings(cloud, quota=0, offered=EVERYWHERE, settings={"instance_groups": [{**GPU, "min_instances": 0}]})
    assert "may have 0 vCPUs" in found[0]
    assert found[1] is False


def test_what_may_not_be_read_is_said_in_one_line(cloud: Cloud) -> None:
    assert findings(cloud, quota=None, offered=EVERYWHERE) == [
        ("could not check the vCPU quotas: the caller may not do GetServiceQuota", False)
    ]


def test_zones_that_lack_the_type(cloud: Cloud) -> None:
    assert findings(cloud, quota=16, offered=EVERYWHERE[:1]) == [
        ("g4dn.xlarge (group gpu) is offered in us-east-1a only", False)
    ]
    [found] = findings(cloud, quota=16, offered=[])
    assert found == (
        "g4dn.xlarge (group gpu) is not offered in us-east-1a, us-east-1b",
        True,
    )


@pytest.mark.parametrize(
    ("group", "code"),
    [
        ({"instance_types": ["m6i.large"]}, "L-1216C47A"),
        ({"instance_types": ["inf1.xlarge"]}, "L-1945791B"),
        ({"instance_types": ["g4dn.xlarge"], "spot": True}, "L-3819A6DF"),
        # The on-demand base of a spot group needs on-demand vCPUs.
        ({"instance_types": ["g4dn.xlarge"], "spot": {"on_demand_base": 1}}, "L-DB2E81BA"),
        ({"instance_types": ["p3.2xlarge"]}, "L-417A185B"),
        ({"instance_types": ["trn1.2xlarge"]}, None),
        ({"instance_types": ["x2idn.16xlarge"]}, None),
    ],
)
def test_the_quota_of_a_group(group: dict[str, Any], code: str | None) -> None:
    configured = Cluster.model_validate({"instance_groups": [{"name": "group", **group}]})
    assert quota_code(configured.instance_groups[0]) == code


def test_another_account_is_refused(cloud: Cloud) -> None:
    with Stubber(cloud.sts) as sts:
        sts.add_response("get_caller_identity", {"Account": "222222222222"})
        with pytest.raises(ClusterError, match="belongs to account 111111111111, and the credentials to 222222222222"):
            check_account(cloud, cluster(account="111111111111"))


def test_a_region_without_the_machine_image_is_told(cloud: Cloud) -> None:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    image = {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": name}
    template = {"Parameters": {"Image": image, "Other": {"Type": "String", "Default": "x"}}}
    with Stubber(cloud.ssm) as ssm:
        ssm.add_response("get_parameters", {"Parameters": [], "InvalidParameters": [name]}, {"Names": [name]})
        [found] = check_machine_images(cloud, cluster(), template)
        ssm.add_response("get_parameters", {"Parameters": []})
        assert check_machine_images(cloud, cluster(), template) == []
        ssm.add_client_error("get_parameters", "AccessDeniedException")
        [warning] = check_machine_images(cloud, cluster(), template)
    assert found.fatal
    assert (
        f"us-east-1 has no machine image for these instances: Systems Manager has no parameter {name}" in found.message
    )
    assert not warning.fatal
    assert check_machine_images(cloud, cluster(), {}) == []
