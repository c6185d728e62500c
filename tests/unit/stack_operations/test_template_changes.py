"""What a new template changes, and what it opens: without CloudFormation."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.stack_operations.access_changes import access_changes
from cortex_cdk.stack_operations.template_changes import compare
from cortex_cdk.stack_operations.template_values import resources_of


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def attribute(name: str, path: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, path]}


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[str, str, bool]]:
    return {one.logical_id: (one.action, one.replacement, one.loses_state) for one in compare(before, after)}


BUCKET = resource("AWS::S3::Bucket", BucketName="a")
KEPT = {**BUCKET, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
GROUP = resource("AWS::AutoScaling::AutoScalingGroup", MinSize="1", MaxSize="1")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {"B": BUCKET}, {"B": ("add", "no", False)}),
        ({"B": BUCKET}, {}, {"B": ("remove", "no", True)}),
        ({"B": KEPT}, {}, {"B": ("remove", "no", False)}),
        ({"B": BUCKET}, {"B": BUCKET}, {}),
        ({"B": BUCKET}, {"B": resource("AWS::S3::Bucket", BucketName="b")}, {"B": ("modify", "yes", True)}),
        ({"B": KEPT}, {"B": resource("AWS::S3::Bucket", BucketName="b")}, {"B": ("modify", "yes", False)}),
        (
            {"B": BUCKET},
            {"B": resource("AWS::S3::Bucket", BucketName="a", Tags=[])},
            {"B": ("modify", "no", False)},
        ),
        ({"B": BUCKET}, {"B": resource("AWS::Logs::LogGroup")}, {"B": ("modify", "yes", True)}),
        (
            {"X": resource("AWS::New::Type", A=1)},
            {"X": resource("AWS::New::Type", A=2)},
            {"X": ("modify", "perhaps", False)},
        ),
        ({"G": GROUP}, {"G": resource(GROUP["Type"], MinSize="1", MaxSize="2")}, {"G": ("modify", "no", False)}),
        (
            {"L": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")},
            {"L": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internet-facing")},
            {"L": ("modify", "yes", True)},
        ),
        (
            {"R": resource("AWS::ECR::Repository", RepositoryName="a")},
            {"R": resource("AWS::ECR::Repository", RepositoryName="b")},
            {"R": ("modify", "yes", True)},
        ),
    ],
)
def test_what_becomes_of_a_resource(before: dict[str, Any], after: dict[str, Any], found: dict[str, Any]) -> None:
    assert changes(before, after) == found


def test_what_refers_to_a_resource_follows_it() -> None:
    """The service comes before its task definition here: the order in a template says nothing."""

    def template(command: str) -> dict[str, Any]:
        return {
            "Service": resource("AWS::ECS::Service", TaskDefinition=ref("Task")),
            "Task": resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Command": [command]}]),
            "Other": resource("AWS::ECS::Service", TaskDefinition="fixed"),
        }

    assert changes(template("a"), template("b")) == {
        "Service": ("modify", "no", False),
        "Task": ("modify", "yes", False),
    }


def test_a_replaced_network_takes_everything_in_it_along() -> None:
    def template(cidr: str) -> dict[str, Any]:
        return {
            "Vpc": resource("AWS::EC2::VPC", CidrBlock=cidr),
            "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24"),
            "Group": resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"), GroupDescription="x"),
        }

    found = changes(template("10.0.0.0/16"), template("10.1.0.0/16"))
    assert found == {
        "Vpc": ("modify", "yes", True),
        "Subnet": ("modify", "yes", True),
        "Group": ("modify", "yes", False),
    }


def test_a_launch_template_has_another_version_after_a_change() -> None:
    def template(size: str) -> dict[str, Any]:
        version = attribute("Template", "LatestVersionNumber")
        return {
            "Template": resource("AWS::EC2::LaunchTemplate", LaunchTemplateData={"InstanceType": size}),
            "Group": resource(GROUP["Type"], MinSize="1", MaxSize="1", LaunchTemplate={"Version": version}),
            "Profile": resource("AWS::IAM::InstanceProfile", Roles=[ref("Template")]),
        }

    assert changes(template("a"), template("b")) == {
        "Template": ("modify", "no", False),
        "Group": ("modify", "no", False),
    }


def test_parameters_and_conditions_get_their_values() -> None:
    template = {
        "Parameters": {"Count": {"Default": "1"}, "Image": {}},
        "Conditions": {
            "Many": {"Fn::Not": [{"Fn::Equals": [ref("Count"), "1"]}]},
            "Few": {"Fn::And": [{"Fn::Not": [{"Condition": "Many"}]}, {"Fn::Or": [{"Fn::Equals": ["a", "a"]}]}]},
        },
        "Resources": {
            "S": resource(
                "AWS::ECS::Service",
                Image=ref("Image"),
                Count={"Fn::If": ["Many", ref("Count"), ref("AWS::NoValue")]},
                Joined={"Fn::Join": ["/", ["a", ref("Image")]]},
                Sub={"Fn::Sub": "${Image}-x"},
                Region=ref("AWS::Region"),
                Mixed={"Fn::Sub": "${Image}-${AWS::Region}"},
                Listed=[ref("AWS::NoValue"), 1],
            ),
            "Only": {**resource("AWS::SNS::Topic"), "Condition": "Many"},
        },
    }
    few = resources_of(template, {"Image": "i"})
    assert list(few) == ["S"]
    assert few["S"]["Properties"] == {
        "Image": "i",
        "Joined": "a/i",
        "Sub": "i-x",
        "Region": {"Ref": "AWS::Region"},
        "Mixed": {"Fn::Sub": "i-${AWS::Region}"},
        "Listed": [1],
    }
    many = resources_of(template, {"Image": "i", "Count": "3"})
    assert many["S"]["Properties"]["Count"] == "3"
    assert "Only" in many


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {
        "P": resource("AWS::IAM::Policy", Roles=[ref("TaskRole0A1B2C3D")], PolicyDocument={"Statement": [*statements]})
    }


def allow(action: Any, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def door(*cidrs: str) -> dict[str, Any]:
    rules = [{"CidrIp": cidr, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80} for cidr in cidrs]
    return {"Door0A1B2C3D": resource("AWS::EC2::SecurityGroup", SecurityGroupIngress=rules)}


@pytest.mark.parametrize(
    ("before", "after", "widens", "narrows"),
    [
        (policy(allow("s3:GetObject", "a")), policy(allow(["s3:GetObject"], ["a"])), [], []),
        (
            policy(allow("s3:GetObject", "a")),
            policy(allow(["s3:GetObject", "s3:PutObject"], "a")),
            ["allow s3:PutObject on a to the task role"],
            [],
        ),
        (
            policy(allow("s3:*")),
            policy(allow("s3:GetObject", "a")),
            [],
            ["no longer: allow s3:* on * to the task role"],
        ),
        (policy(allow("s3:Get*", "a")), policy(allow("s3:*", "a")), ["allow s3:* on a to the task role"], []),
        (
            policy(allow("s3:GetObject", Condition={"Bool": {"x": "y"}})),
            policy(allow("s3:GetObject")),
            ["allow s3:GetObject on * to the task role"],
            ['no longer: allow s3:GetObject on * to the task role if {"Bool": {"x": "y"}}'],
        ),
        (
            policy({**allow("s3:GetObject"), "Effect": "Deny"}),
            policy(),
            ["no longer: deny s3:GetObject on * to the task role"],
            [],
        ),
        (
            door("10.0.0.0/8"),
            door("0.0.0.0/0"),
            ["TCP 80 from 0.0.0.0/0 (everybody) into the security group (door)"],
            [],
        ),
        (
            door("0.0.0.0/0"),
            door("10.0.0.0/8"),
            [],
            ["no longer: TCP 80 from 0.0.0.0/0 (everybody) into the security group (door)"],
        ),
        (door("10.0.0.0/8"), door("10.0.0.0/8", "::1/128"), ["TCP 80 from ::1/128 into the security group (door)"], []),
        (
            {},
            {"Role0A1B2C3D": resource("AWS::IAM::Role", ManagedPolicyArns=["arn:x"])},
            ["allow all of policy arn:x to the role"],
            [],
        ),
        (
            {},
            {
                "B": resource(
                    "AWS::S3::BucketPolicy",
                    PolicyDocument={"Statement": [{**allow("s3:GetObject", "b"), "Principal": "*"}]},
                )
            },
            ["allow s3:GetObject on b to everybody (the bucket policy (b))"],
            [],
        ),
        (
            {"L": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")},
            {"L": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internet-facing")},
            ["the load balancer (l) has public addresses"],
            [],
        ),
    ],
)
def test_only_what_is_really_new_widens(
    before: dict[str, Any], after: dict[str, Any], widens: list[str], narrows: list[str]
) -> None:
    found = access_changes(before, after)
    assert [one.grant.text for one in found if one.widens] == widens
    assert [one.grant.text for one in found if not one.widens] == narrows


def test_who_may_take_a_role_is_said() -> None:
    trust = {
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs.amazonaws.com"}}]
    }
    found = access_changes({}, {"Role0A1B2C3D": resource("AWS::IAM::Role", AssumeRolePolicyDocument=trust)})
    assert [(one.grant.kind, one.grant.text) for one in found] == [
        ("trust", "allow sts:AssumeRole to ecs.amazonaws.com (the role)")
    ]
