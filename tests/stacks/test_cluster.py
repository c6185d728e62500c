"""The template of a cluster: one test for each decision of the reference (aws.md) that it relies on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template
from cortex_stacks.app import add_stack, make_app

from cortex_cdk.config import Cluster
from cortex_cdk.synthesis.specs import ClusterResources
from tests.stacks.matrix import BOUNDARY, CERTIFICATE, CLUSTERS, PRIVATE, PUBLIC, TOPIC, VPC, cluster_spec

Synthesized = Callable[[str], Template]
ASG = "AWS::AutoScaling::AutoScalingGroup"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
TEMPLATE = "AWS::EC2::LaunchTemplate"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, cdk.Stack]:
    app = make_app(str(tmp_path_factory.mktemp("cdk.out")))
    return {name: add_stack(app, cluster_spec(name)) for name in CLUSTERS}


@pytest.fixture(scope="module")
def synthesized(stacks: dict[str, cdk.Stack]) -> Synthesized:
    templates = {name: Template.from_stack(stack) for name, stack in stacks.items()}
    return templates.__getitem__


def all_properties(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource.get("Properties", {}) for name, resource in template.find_resources(kind).items()}


def properties(template: Template, kind: str, part_of_id: str = "") -> dict[str, Any]:
    [found] = [value for name, value in all_properties(template, kind).items() if part_of_id in name]
    return found


# Permissions


def test_every_role_has_the_boundary_of_the_cluster(synthesized: Synthesized) -> None:
    roles = all_properties(synthesized("bound"), "AWS::IAM::Role")
    assert len(roles) == 2
    assert {role.get("PermissionsBoundary") for role in roles.values()} == {BOUNDARY}
    assert not [
        role
        for role in all_properties(synthesized("plain"), "AWS::IAM::Role").values()
        if "PermissionsBoundary" in role
    ]


# Network


def test_a_public_cluster_has_no_nat_and_reaches_s3_directly(synthesized: Synthesized) -> None:
    template = synthesized("plain")
    template.resource_count_is("AWS::EC2::NatGateway", 0)
    template.resource_count_is("AWS::EC2::Subnet", 2)
    template.has_resource_properties("AWS::EC2::VPC", {"CidrBlock": "192.168.0.0/16"})
    endpoint = properties(template, "AWS::EC2::VPCEndpoint")
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["ServiceName"]["Fn::Join"][1][-1] == ".s3"
    network = properties(template, TEMPLATE, "Groupcpu")["LaunchTemplateData"]["NetworkInterfaces"]
    assert network[0]["AssociatePublicIpAddress"] is True


@pytest.mark.parametrize(("cluster", "gateways", "subnets"), [("tls", 1, 4), ("private", 3, 6)])
def test_private_instances_reach_out_through_nat(
    synthesized: Synthesized, cluster: str, gateways: int, subnets: int
) -> None:
    template = synthesized(cluster)
    template.resource_count_is("AWS::EC2::NatGateway", gateways)
    template.resource_count_is("AWS::EC2::Subnet", subnets)
    network = properties(template, TEMPLATE, "Groupcpu")["LaunchTemplateData"]["NetworkInterfaces"]
    assert network[0]["AssociatePublicIpAddress"] is False
    zones = properties(template, ASG, "Groupcpu")["VPCZoneIdentifier"]
    assert all("PrivateSubnet" in zone["Ref"] for zone in zones)


def test_the_zones_that_the_user_names(synthesized: Synthesized) -> None:
    zones = {
        subnet["AvailabilityZone"] for subnet in all_properties(synthesized("private"), "AWS::EC2::Subnet").values()
    }
    assert zones == {"us-east-1a", "us-east-1b", "us-east-1c"}


@pytest.mark.parametrize(
    ("cluster", "subnets", "scheme"), [("existing", PUBLIC, "internet-facing"), ("hidden", PRIVATE, "internal")]
)
def test_an_existing_vpc_is_used_as_it_is(
    synthesized: Synthesized, cluster: str, subnets: list[str], scheme: str
) -> None:
    template = synthesized(cluster)
    for kind in ("VPC", "Subnet", "Route", "VPCEndpoint", "InternetGateway"):
        template.resource_count_is(f"AWS::EC2::{kind}", 0)
    balancer = properties(template, BALANCER)
    assert (balancer["Subnets"], balancer["Scheme"]) == (subnets, scheme)
    assert properties(template, ASG, "Groupcpu")["VPCZoneIdentifier"] == subnets
    assert template.to_json()["Outputs"]["VpcId"]["Value"] == VPC


# Load balancer


def test_what_no_api_has_is_answered_with_404_as_json(synthesized: Synthesized) -> None:
    listener = properties(synthesized("plain"), LISTENER)
    [action] = listener["DefaultActions"]
    assert (listener["Port"], listener["Protocol"], action["Type"]) == (80, "HTTP", "fixed-response")
    response = action["FixedResponseConfig"]
    assert (response["StatusCode"], response["ContentType"]) == ("404", "application/json")
    assert json.loads(response["MessageBody"])["message"]


def test_a_certificate_brings_https_and_a_redirect(synthesized: Synthesized) -> None:
    template = synthesized("tls")
    template.has_resource_properties(
        LISTENER,
        {
            "Port": 443,
            "Certificates": [{"CertificateArn": CERTIFICATE}],
            "SslPolicy": Match.string_like_regexp("TLS13"),
            "DefaultActions": [Match.object_like({"Type": "fixed-response"})],
        },
    )
    redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    template.has_resource_properties(
        LISTENER, {"Port": 80, "DefaultActions": [{"Type": "redirect", "RedirectConfig": redirect}]}
    )
    outputs = template.to_json()["Outputs"]
    assert "Https" in outputs["ListenerArn"]["Value"]["Ref"]
    assert outputs["BaseUrl"]["Value"]["Fn::Join"][1][0] == "https://"


def test_the_load_balancer_is_strict_and_patient(synthesized: Synthesized) -> None:
    balancer = properties(synthesized("plain"), BALANCER)
    attributes = {attribute["Key"]: attribute["Value"] for attribute in balancer["LoadBalancerAttributes"]}
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["idle_timeout.timeout_seconds"] == "300"


def test_only_the_allowed_networks_reach_the_load_balancer(synthesized: Synthesized) -> None:
    rules = properties(synthesized("tls"), "AWS::EC2::SecurityGroup", "Door")["SecurityGroupIngress"]
    assert {(rule.get("CidrIp") or rule["CidrIpv6"], rule["FromPort"]) for rule in rules} == {
        ("203.0.113.0/24", 80),
        ("203.0.113.0/24", 443),
        ("2001:db8::/32", 80),
        ("2001:db8::/32", 443),
    }


def test_only_the_load_balancer_reaches_the_replicas(synthesized: Synthesized) -> None:
    """Bridge mode maps dynamic host ports; the CDK by itself adds no rule for them."""
    template = synthesized("plain")
    instances = properties(template, "AWS::EC2::SecurityGroup", "Instance")
    assert "SecurityGroupIngress" not in instances
    rule = properties(template, "AWS::EC2::SecurityGroupIngress")
    assert (rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) == (32768, 65535, "tcp")
    assert "Door" in rule["SourceSecurityGroupId"]["Fn::GetAtt"][0]
    assert "Instance" in rule["GroupId"]["Fn::GetAtt"][0]


# Instance groups


def test_instances_keep_their_role_from_containers_and_encrypt_their_disk(synthesized: Synthesized) -> None:
    for template in all_properties(synthesized("types"), TEMPLATE).values():
        data = template["LaunchTemplateData"]
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        [device] = data["BlockDeviceMappings"]
        assert device["DeviceName"] == "/dev/xvda"
        assert device["Ebs"]["Encrypted"] is True
        assert device["Ebs"]["VolumeType"] == "gp3"


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("cpu", "amazon-linux-2023/recommended/image_id"),
        ("gpu", "amazon-linux-2023/gpu/recommended/image_id"),
        ("inf", "amazon-linux-2023/neuron/recommended/image_id"),
    ],
)
def test_each_group_has_the_ami_of_its_kind(synthesized: Synthesized, group: str, path: str) -> None:
    template = synthesized("types")
    parameter = properties(template, TEMPLATE, f"Group{group}")["LaunchTemplateData"]["ImageId"]["Ref"]
    assert template.to_json()["Parameters"][parameter] == {
        "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        "Default": f"/aws/service/ecs/optimized-ami/{path}",
    }


def test_the_agent_joins_the_cluster_with_our_options(synthesized: Synthesized) -> None:
    def user_data(group: str) -> str:
        data = properties(synthesized("types"), TEMPLATE, f"Group{group}")["LaunchTemplateData"]["UserData"]
        return json.dumps(data)

    for option in ("ECS_CLUSTER=", "ECS_RESERVED_MEMORY=256", "ECS_SELINUX_CAPABLE=true"):
        assert option in user_data("gpu")
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in user_data("spot")
    assert "SPOT" not in user_data("gpu")


def test_the_agent_may_drain_spot_instances_of_its_cluster(synthesized: Synthesized) -> None:
    def drains(name: str) -> list[Any]:
        policies = all_properties(synthesized(name), "AWS::IAM::Policy")
        [policy] = [policy for key, policy in policies.items() if key.startswith("InstanceRole")]
        statements = policy["PolicyDocument"]["Statement"]
        return [one for one in statements if "ecs:UpdateContainerInstancesState" in one["Action"]]

    [statement] = drains("types")
    assert "ecs:cluster" in statement["Condition"]["ArnEquals"]
    assert drains("plain") == []


def test_instances_may_do_what_their_agents_need(synthesized: Synthesized) -> None:
    template = synthesized("plain")
    [role] = [r for key, r in all_properties(template, "AWS::IAM::Role").items() if key.startswith("InstanceRole")]
    [policy] = [p for key, p in all_properties(template, "AWS::IAM::Policy").items() if key.startswith("InstanceRole")]
    allowed = {action for one in policy["PolicyDocument"]["Statement"] for action in one["Action"]}
    assert "ManagedPolicyArns" not in role
    assert {action.split(":")[0] for action in allowed} == {"ecs", "ssm", "ssmmessages"}
    # Neither the parameters and secrets of the account, nor the logs of others.
    assert {action for action in allowed if "Get" in action or "*" in action} == set()


def test_capacity_providers_scale_drain_and_can_be_deleted(synthesized: Synthesized) -> None:
    template = synthesized("plain")
    providers = all_properties(template, "AWS::ECS::CapacityProvider").values()
    assert {provider["Name"] for provider in providers} == {"cortex-plain_cpu", "cortex-plain_gpu"}
    for provider in providers:
        group = provider["AutoScalingGroupProvider"]
        assert group["ManagedDraining"] == "ENABLED"
        assert group["ManagedTerminationProtection"] == "ENABLED"
        assert group["ManagedScaling"] == {"InstanceWarmupPeriod": 120, "Status": "ENABLED", "TargetCapacity": 100}
    # Without explicit draining the CDK would add a Lambda function and an SNS topic for each group.
    template.resource_count_is("AWS::AutoScaling::LifecycleHook", 0)
    association = properties(template, "AWS::ECS::ClusterCapacityProviderAssociations")
    assert len(association["CapacityProviders"]) == 2


def test_the_bounds_of_a_group(synthesized: Synthesized) -> None:
    group = properties(synthesized("plain"), ASG, "Groupcpu")
    assert (group["MinSize"], group["MaxSize"]) == ("1", "5")
    # Otherwise every update of the stack would undo what ECS has scaled.
    assert "DesiredCapacity" not in group


def test_spot_instances_come_from_the_cheapest_pools_with_capacity(synthesized: Synthesized) -> None:
    policy = properties(synthesized("types"), ASG, "Groupspot")["MixedInstancesPolicy"]
    assert policy["InstancesDistribution"] == {
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": 1,
        "OnDemandPercentageAboveBaseCapacity": 20,
        "SpotAllocationStrategy": "price-capacity-optimized",
        "SpotMaxPrice": "0.7",
    }
    overrides = policy["LaunchTemplate"]["Overrides"]
    assert [override["InstanceType"] for override in overrides] == ["g5.xlarge", "g6.xlarge"]
    [device] = properties(synthesized("types"), TEMPLATE, "Groupspot")["LaunchTemplateData"]["BlockDeviceMappings"]
    assert (device["Ebs"]["VolumeSize"], device["Ebs"]["Iops"]) == (200, 6000)
    # The default of EBS is 125 MiB/s: more than a minute for an image with PyTorch and CUDA.
    assert device["Ebs"]["Throughput"] == 250


def test_several_types_without_spot_are_on_demand_in_order(synthesized: Synthesized) -> None:
    policy = properties(synthesized("types"), ASG, "Groupcpu")["MixedInstancesPolicy"]
    distribution = policy["InstancesDistribution"]
    assert distribution["OnDemandPercentageAboveBaseCapacity"] == 100
    assert distribution["OnDemandAllocationStrategy"] == "prioritized"
    assert "MixedInstancesPolicy" not in properties(synthesized("types"), ASG, "Groupgpu")


# Storage, images, dashboard


def test_the_bucket_is_closed_and_stays(synthesized: Synthesized) -> None:
    template = synthesized("plain")
    [bucket] = template.find_resources("AWS::S3::Bucket").values()
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    template.has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": [
                    Match.object_like(
                        {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}, "Action": "s3:*"}
                    )
                ]
            }
        },
    )


def test_projects_never_expire_and_build_contexts_do(synthesized: Synthesized) -> None:
    rules = properties(synthesized("plain"), "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule] == ["builds/"]


def test_an_alarm_on_what_no_replica_answered(synthesized: Synthesized) -> None:
    alarm = properties(synthesized("plain"), "AWS::CloudWatch::Alarm")
    assert alarm["AlarmName"] == "cortex/plain/load-balancer"
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count")
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["LoadBalancer"]
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Period"]) == (5, 3, 60)
    assert alarm["TreatMissingData"] == "notBreaching", "without requests the metric has no data"


def test_the_dashboard_finds_apis_by_itself(synthesized: Synthesized) -> None:
    dashboard = properties(synthesized("plain"), "AWS::CloudWatch::Dashboard")
    assert dashboard["DashboardName"] == "cortex-plain"
    body = json.loads(
        "".join(part if isinstance(part, str) else "X" for part in dashboard["DashboardBody"]["Fn::Join"][1])
    )
    graphs = [widget["properties"]["metrics"] for widget in body["widgets"]]
    assert len(graphs) == 10
    assert all(metric[0]["expression"].startswith("SEARCH(") for [metric] in graphs)
    # The load balancer's own errors have no target group, so that its dimension must not be asked for.
    assert "{AWS/ApplicationELB,LoadBalancer} " in graphs[9][0][0]["expression"]


def test_alarms_tell_the_topic_when_they_go_off_and_when_that_is_over(synthesized: Synthesized) -> None:
    alarm = properties(synthesized("gpu-only"), "AWS::CloudWatch::Alarm")
    assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
    assert synthesized("gpu-only").to_json()["Outputs"]["AlarmTopic"]["Value"] == TOPIC
    assert "AlarmActions" not in properties(synthesized("plain"), "AWS::CloudWatch::Alarm")


# What others read


def test_the_outputs_are_the_cluster_resources(synthesized: Synthesized) -> None:
    outputs = synthesized("types").to_json()["Outputs"]
    literal = {key: value["Value"] for key, value in outputs.items()}
    read = ClusterResources.from_outputs(
        {key: value if isinstance(value, str) else "resolved" for key, value in literal.items()}
    )
    assert read.cluster == "types"
    assert read.log_retention_days == 30
    assert [(p.group, p.capacity_provider, p.accelerator, p.instance_types) for p in read.providers] == [
        ("cpu", "cortex-types_cpu", "none", ("m6i.large", "m5.large")),
        ("gpu", "cortex-types_gpu", "gpu", ("g4dn.xlarge",)),
        ("inf", "cortex-types_inf", "inf", ("inf1.xlarge",)),
        ("spot", "cortex-types_spot", "gpu", ("g5.xlarge", "g6.xlarge")),
    ]
    assert literal["SpecDigest"] == cluster_spec("types").digest


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_configuration_can_be_read_back_from_the_template(synthesized: Synthesized, name: str) -> None:
    cluster = cluster_spec(name).cluster
    metadata = synthesized(name).to_json()["Metadata"]["Cortex"]
    assert Cluster.model_validate({**json.loads(metadata), "tags": cluster.tags}) == cluster


def test_the_users_tags_go_with_the_stack(stacks: dict[str, cdk.Stack]) -> None:
    assert stacks["private"].tags.tag_values()["team"] == "vision"
