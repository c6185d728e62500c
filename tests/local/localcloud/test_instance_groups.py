"""Auto Scaling groups of the local cloud: what EC2 refuses to launch, and what is seen of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.faults import fail_launches, launch_faults, let_launch
from tests.local.lifecycle import attribute, network, ref, resource
from tests.local.localcloud.stacks import Stacks, client, running, template
from tests.local.waiting import until


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


def activities(cloud: Endpoint, group: str) -> list[dict[str, Any]]:
    found = client(cloud, "autoscaling").describe_scaling_activities(AutoScalingGroupName=group)
    answered: list[dict[str, Any]] = found["Activities"]
    return answered


def test_launches_fail_as_long_as_a_fault_says(cloud: Endpoint) -> None:
    stacks = Stacks(cloud)
    assert stacks.create("faulty", managed())["StackStatus"] == "CREATE_COMPLETE"
    name = stacks.resources("faulty")["Group"][0]
    api = client(cloud, "autoscaling")
    assert [one["StatusCode"] for one in activities(cloud, name)] == ["Successful"]

    fail_launches(cloud.control_url, name)
    (fault,) = launch_faults(cloud.control_url)
    assert (fault["target"], fault["kind"]) == (name, "launch-failure")
    api.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    failed = activities(cloud, name)[0]
    assert (failed["StatusCode"], failed["Progress"]) == ("Failed", 100)
    assert failed["StatusMessage"].startswith("You have requested more vCPU capacity than your current vCPU limit of 0")
    assert failed["Description"] == f"Launching a new EC2 instance.  Status Reason: {failed['StatusMessage']}"
    assert failed["StatusMessage"].endswith("Launching EC2 instance failed.")
    assert len(api.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]["Instances"]) == 1
    page = api.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=1)
    assert page["Activities"][0]["ActivityId"] == failed["ActivityId"]
    assert page["NextToken"]

    let_launch(cloud.control_url, name)
    until(lambda: len(registered(cloud, "faulty")) == 2)
    assert activities(cloud, name)[0]["StatusCode"] == "Successful"
    with pytest.raises(api.exceptions.ClientError, match="AutoScalingGroup name not found"):
        activities(cloud, "no-such-group")


def test_a_stack_whose_instances_do_not_start_fails_with_the_activity(cloud: Endpoint) -> None:
    fail_launches(cloud.control_url, code="InvalidParameterCombination")
    try:
        stack = Stacks(cloud).create("stuck", managed())
    finally:
        let_launch(cloud.control_url)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    (reason,) = [text for text in Stacks(cloud).reasons("stuck", "CREATE_FAILED") if "stabilize" in text]
    assert reason.startswith("Group did not stabilize. {current/minimum/target group size = 0/1/1}. Failed Scaling ")
    assert "The specified instance type is not eligible for Free Tier." in reason


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"seconds": 30}, "target"),
        ({"target": "*"}, "seconds"),
        ({"target": "*", "seconds": 0}, "above 0"),
        ({"target": "*", "seconds": "soon"}, "soon"),
        ({"target": "*", "seconds": 30, "code": "NoSuchCode"}, "'NoSuchCode' is no error code"),
        ({"target": "*", "seconds": 30, "kind": "earthquake"}, "'earthquake' is no kind of fault"),
        ({"target": "none", "seconds": 30, "kind": "spot-notice"}, "no Auto Scaling group none"),
        ({"target": "none", "seconds": 30, "kind": "kill-replica"}, "no ECS service none"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(cloud: Endpoint, fault: dict[str, Any], said: str) -> None:
    body = json.dumps({"kind": "launch-failure", **fault}).encode()
    request = urllib.request.Request(f"{cloud.control_url}/_cortex/faults", body, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400
    assert said in json.load(refused.value)["message"]
    assert launch_faults(cloud.control_url) == []
