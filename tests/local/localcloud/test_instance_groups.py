"""Auto Scaling groups of the local cloud: what EC2 refuses to launch, and what is seen of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.lifecycle import attribute, network, ref, resource
from tests.local.localcloud.stacks import Stacks, running, template


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("groups") / "local") as endpoint:
        yield endpoint


def group(volume: int = 30, **properties: Any) -> dict[str, Any]:
    """A template with an instance group of its own network.

    Args:
        volume: Size of the root volume in GiB.
        properties: More properties of the group.
    """
    content = network()
    content["Resources"] |= template(
        Launch=resource(
            "AWS::EC2::LaunchTemplate",
            LaunchTemplateData={
                "ImageId": "ami-12345678",
                "InstanceType": "m7i-flex.large",
                "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": volume}}],
            },
        ),
        Group=resource(
            "AWS::AutoScaling::AutoScalingGroup",
            **{
                "MinSize": "0",
                "MaxSize": "3",
                "LaunchTemplate": {
                    "LaunchTemplateId": ref("Launch"),
                    "Version": attribute("Launch", "LatestVersionNumber"),
                },
                "VPCZoneIdentifier": [ref("Subnet0"), ref("Subnet1")],
                **properties,
            },
        ),
    )["Resources"]
    return content


def test_a_volume_smaller_than_the_snapshot_of_the_image_is_refused(cloud: Endpoint) -> None:
    stacks = Stacks(cloud)
    refusal = (
        "You must use a valid fully-formed launch template. Volume of size 20GB is smaller than snapshot "
        "'snap-12345678', expect size >= 30GB"
    )
    assert stacks.create("small", group(volume=20))["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any(refusal in reason for reason in stacks.reasons("small", "CREATE_FAILED"))

    assert stacks.create("grown", group(volume=30))["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.update("grown", group(volume=20))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert any(refusal in reason for reason in stacks.reasons("grown", "UPDATE_FAILED"))
