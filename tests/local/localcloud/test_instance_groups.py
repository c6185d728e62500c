"""Auto Scaling groups of the local cloud: what EC2 refuses to launch, and what is seen of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.lifecycle import attribute, network, ref, resource
from tests.local.localcloud.stacks import Stacks, client, running, template, until


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


def managed(**properties: Any) -> dict[str, Any]:
    """A template with a capacity provider of a group that has an instance at once."""
    content = group(MinSize="1", **properties)
    content["Resources"] |= template(
        Provider=resource("AWS::ECS::CapacityProvider", AutoScalingGroupProvider={"AutoScalingGroupArn": ref("Group")}),
        Cluster=resource("AWS::ECS::Cluster"),
        Providers=resource(
            "AWS::ECS::ClusterCapacityProviderAssociations",
            Cluster=ref("Cluster"),
            CapacityProviders=[ref("Provider")],
            DefaultCapacityProviderStrategy=[],
        ),
    )["Resources"]
    return content


def registered(cloud: Endpoint, stack: str) -> list[str | None]:
    """The capacity providers of a stack's container instances."""
    ecs, cluster = client(cloud, "ecs"), Stacks(cloud).resources(stack)["Cluster"][0]
    arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    found = ecs.describe_container_instances(cluster=cluster, containerInstances=arns) if arns else {}
    return [instance.get("capacityProviderName") for instance in found.get("containerInstances", [])]


def test_an_instance_that_is_launched_before_its_capacity_provider_is_none_of_it(cloud: Endpoint) -> None:
    """Unless the group has ECS's tag from the beginning. Later ones are: ECS adds the tag to the group."""
    stacks = Stacks(cloud)
    assert stacks.create("untagged", managed())["StackStatus"] == "CREATE_COMPLETE"
    until(lambda: registered(cloud, "untagged"))
    assert registered(cloud, "untagged") == [None]
    name = stacks.resources("untagged")["Group"][0]
    client(cloud, "autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    until(lambda: len(registered(cloud, "untagged")) == 2)
    assert sum(provider is None for provider in registered(cloud, "untagged")) == 1

    tag = {"Key": "AmazonECSManaged", "Value": "true", "PropagateAtLaunch": True}
    assert stacks.create("tagged", managed(Tags=[tag]))["StackStatus"] == "CREATE_COMPLETE"
    until(lambda: registered(cloud, "tagged"))
    assert registered(cloud, "tagged") == [stacks.resources("tagged")["Provider"][0]]
