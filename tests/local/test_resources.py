"""Every resource type of ours is made, changed in place and removed, and boto3 sees what the template says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.stacks import Stacks, client, running, template

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
}
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}
SSM_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("resources") / "local") as endpoint:
        yield endpoint


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def attribute(name: str, path: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, path]}


def network(**vpc: Any) -> dict[str, Any]:
    """Two public subnets, as the cluster stack has them."""
    made = template(
        Vpc=resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16", EnableDnsHostnames=True, Tags=tags(Name="net"), **vpc),
        Gateway=resource("AWS::EC2::InternetGateway", Tags=tags(Name="gate")),
        Attached=resource("AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")),
        Table=resource("AWS::EC2::RouteTable", VpcId=ref("Vpc"), Tags=tags(Name="table")),
        Route={
            **resource(
                "AWS::EC2::Route",
                RouteTableId=ref("Table"),
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=ref("Gateway"),
            ),
            "DependsOn": "Attached",
        },
        Endpoint=resource(
            "AWS::EC2::VPCEndpoint",
            VpcId=ref("Vpc"),
            ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
            VpcEndpointType="Gateway",
            RouteTableIds=[ref("Table")],
        ),
    )
    for number in (0, 1):
        made["Resources"][f"Subnet{number}"] = resource(
            "AWS::EC2::Subnet",
            VpcId=ref("Vpc"),
            CidrBlock=f"10.0.{number}.0/24",
            AvailabilityZone={"Fn::Select": [number, {"Fn::GetAZs": ""}]},
            MapPublicIpOnLaunch=True,
        )
        made["Resources"][f"Association{number}"] = resource(
            "AWS::EC2::SubnetRouteTableAssociation", SubnetId=ref(f"Subnet{number}"), RouteTableId=ref("Table")
        )
    return made


def changed(content: dict[str, Any], name: str, **properties: Any) -> dict[str, Any]:
    """The same template with other properties of one resource; None removes one."""
    made = copy.deepcopy(content)
    wanted = {**made["Resources"][name]["Properties"], **properties}
    made["Resources"][name]["Properties"] = {key: value for key, value in wanted.items() if value is not None}
    return made


class Lifecycle:
    """One stack that is created, changed and deleted."""

    def __init__(self, cloud: Endpoint, name: str, content: dict[str, Any]) -> None:
        self.stacks, self.name = Stacks(cloud), name
        stack = self.stacks.create(name, content)
        assert stack["StackStatus"] == "CREATE_COMPLETE", self.stacks.reasons(name, "CREATE_FAILED")
        self.ids = {key: physical for key, (physical, _) in self.stacks.resources(name).items()}

    def change(self, content: dict[str, Any]) -> None:
        stack = self.stacks.update(self.name, content)
        assert stack["StackStatus"] == "UPDATE_COMPLETE", self.stacks.reasons(self.name, "UPDATE_FAILED")
        now = {key: physical for key, (physical, _) in self.stacks.resources(self.name).items()}
        assert now == self.ids, "changed in place, so nothing is replaced"

    def delete(self) -> None:
        stack = self.stacks.delete(self.name)
        assert stack["StackStatus"] == "DELETE_COMPLETE", self.stacks.reasons(stack["StackId"], "DELETE_FAILED")


def test_network(cloud: Endpoint) -> None:
    ec2 = client(cloud, "ec2")
    content = network()
    life = Lifecycle(cloud, "network", content)
    vpc = ec2.describe_vpcs(VpcIds=[life.ids["Vpc"]])["Vpcs"][0]
    named = {tag["Key"]: tag["Value"] for tag in vpc["Tags"]}
    assert (named["Name"], named["aws:cloudformation:stack-name"]) == ("net", "network")
    table = ec2.describe_route_tables(RouteTableIds=[life.ids["Table"]])["RouteTables"][0]
    assert {route["DestinationCidrBlock"] for route in table["Routes"] if "DestinationCidrBlock" in route} == {
        "10.0.0.0/16",
        "0.0.0.0/0",
    }
    subnets = ec2.describe_subnets(SubnetIds=[life.ids["Subnet0"], life.ids["Subnet1"]])["Subnets"]
    assert [s["AvailabilityZone"] for s in subnets] == ["us-east-1a", "us-east-1b"]
    assert all(s["MapPublicIpOnLaunch"] for s in subnets)

    life.change(changed(changed(content, "Vpc", Tags=tags(other="tag")), "Subnet0", MapPublicIpOnLaunch=False))
    vpc = ec2.describe_vpcs(VpcIds=[life.ids["Vpc"]])["Vpcs"][0]
    assert {tag["Key"] for tag in vpc["Tags"] if not tag["Key"].startswith("aws:")} == {"other"}

    life.delete()
    assert life.ids["Vpc"] not in [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]]


def test_security_groups_that_name_each_other(cloud: Endpoint) -> None:
    ec2 = client(cloud, "ec2")
    http = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0", "Description": "requests"}
    https = {**http, "FromPort": 443, "ToPort": 443}
    between = {"IpProtocol": "tcp", "FromPort": 32768, "ToPort": 65535}
    content = template(
        Vpc=resource("AWS::EC2::VPC", CidrBlock="10.1.0.0/16"),
        Door=resource(
            "AWS::EC2::SecurityGroup", GroupDescription="door", VpcId=ref("Vpc"), SecurityGroupIngress=[http]
        ),
        House=resource("AWS::EC2::SecurityGroup", GroupDescription="house", VpcId=ref("Vpc")),
        In=resource(
            "AWS::EC2::SecurityGroupIngress",
            GroupId=attribute("House", "GroupId"),
            SourceSecurityGroupId=attribute("Door", "GroupId"),
            **between,
        ),
        Out=resource(
            "AWS::EC2::SecurityGroupEgress",
            GroupId=attribute("Door", "GroupId"),
            DestinationSecurityGroupId=attribute("House", "GroupId"),
            **between,
        ),
    )

    def rules(group: str, direction: str) -> list[tuple[Any, bool]]:
        found = ec2.describe_security_groups(GroupIds=[life.ids[group]])["SecurityGroups"][0][direction]
        return sorted((rule.get("FromPort"), bool(rule["UserIdGroupPairs"])) for rule in found if "FromPort" in rule)

    life = Lifecycle(cloud, "groups", content)
    assert rules("Door", "IpPermissions") == [(80, False)]
    assert rules("Door", "IpPermissionsEgress") == [(32768, True)]
    assert rules("House", "IpPermissions") == [(32768, True)]

    life.change(changed(content, "Door", SecurityGroupIngress=[https]))
    assert rules("Door", "IpPermissions") == [(443, False)]
    assert rules("Door", "IpPermissionsEgress") == [(32768, True)]
    life.delete()


def test_roles_policies_and_profiles(cloud: Endpoint) -> None:
    iam = client(cloud, "iam")
    content = template(
        Role=resource(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument=TRUST,
            ManagedPolicyArns=[SSM_POLICY],
            Policies=[{"PolicyName": "own", "PolicyDocument": READ}],
            Tags=tags(a="1"),
        ),
        Policy=resource("AWS::IAM::Policy", PolicyName="extra", PolicyDocument=READ, Roles=[ref("Role")]),
        Profile=resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")]),
    )
    life = Lifecycle(cloud, "iam", content)
    role = life.ids["Role"]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [SSM_POLICY]
    assert sorted(iam.list_role_policies(RoleName=role)["PolicyNames"]) == ["extra", "own"]
    profile = iam.get_instance_profile(InstanceProfileName=life.ids["Profile"])["InstanceProfile"]
    assert [item["RoleName"] for item in profile["Roles"]] == [role]

    life.change(changed(content, "Role", ManagedPolicyArns=None, Policies=None, Description="new", Tags=tags(b="2")))
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["extra"]
    found = iam.get_role(RoleName=role)["Role"]
    assert (found["Description"], found["Tags"]) == ("new", tags(b="2"))
    life.delete()


def test_bucket_and_its_policy(cloud: Endpoint) -> None:
    s3 = client(cloud, "s3")
    rule = {"Id": "old", "Status": "Enabled", "Prefix": "builds/", "ExpirationInDays": 7}
    locked = dict.fromkeys(["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True)
    content = template(
        Bucket=resource(
            "AWS::S3::Bucket",
            BucketName="typed",
            VersioningConfiguration={"Status": "Enabled"},
            PublicAccessBlockConfiguration=locked,
            LifecycleConfiguration={"Rules": [rule]},
            Tags=tags(a="1"),
        ),
        Policy=resource("AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=READ),
    )
    life = Lifecycle(cloud, "bucket", content)
    assert s3.get_bucket_versioning(Bucket="typed")["Status"] == "Enabled"
    assert s3.get_public_access_block(Bucket="typed")["PublicAccessBlockConfiguration"] == locked
    (found,) = s3.get_bucket_lifecycle_configuration(Bucket="typed")["Rules"]
    assert (found["ID"], found["Expiration"]["Days"], found["Filter"]["Prefix"]) == ("old", 7, "builds/")
    assert json.loads(s3.get_bucket_policy(Bucket="typed")["Policy"]) == READ

    life.change(changed(content, "Bucket", LifecycleConfiguration={"Rules": [{**rule, "ExpirationInDays": 9}]}))
    (found,) = s3.get_bucket_lifecycle_configuration(Bucket="typed")["Rules"]
    assert found["Expiration"]["Days"] == 9
    life.delete()


def test_image_repository(cloud: Endpoint) -> None:
    ecr = client(cloud, "ecr")
    content = template(
        Images=resource(
            "AWS::ECR::Repository",
            RepositoryName="typed",
            ImageTagMutability="IMMUTABLE",
            ImageScanningConfiguration={"ScanOnPush": True},
            EmptyOnDelete=True,
        )
    )
    life = Lifecycle(cloud, "images", content)
    ecr.put_image(repositoryName="typed", imageManifest=json.dumps(MANIFEST), imageTag="one")
    (found,) = ecr.describe_repositories(repositoryNames=["typed"])["repositories"]
    assert (found["imageTagMutability"], found["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})

    life.change(changed(content, "Images", ImageTagMutability="MUTABLE"))
    (found,) = ecr.describe_repositories(repositoryNames=["typed"])["repositories"]
    assert found["imageTagMutability"] == "MUTABLE"
    life.delete()


def test_alarms_and_dashboards(cloud: Endpoint) -> None:
    cloudwatch = client(cloud, "cloudwatch")
    common = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 3, "TreatMissingData": "notBreaching"}
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "RequestCount",
        "Dimensions": [{"Name": "T", "Value": "t"}],
    }
    content = template(
        Plain=resource(
            "AWS::CloudWatch::Alarm", AlarmName="plain", Threshold=1, Period=60, Statistic="Sum", **metric, **common
        ),
        Math=resource(
            "AWS::CloudWatch::Alarm",
            AlarmName="math",
            Threshold=10,
            Metrics=[
                {"Id": "rate", "Expression": "100 * r", "ReturnData": True},
                {"Id": "r", "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
            ],
            **common,
        ),
        Board=resource("AWS::CloudWatch::Dashboard", DashboardName="board", DashboardBody='{"widgets": []}'),
    )
    life = Lifecycle(cloud, "alarms", content)
    plain, math = sorted(cloudwatch.describe_alarms()["MetricAlarms"], key=lambda alarm: alarm["Threshold"])
    assert (plain["AlarmName"], plain["Dimensions"]) == ("plain", [{"Name": "T", "Value": "t"}])
    assert math["Metrics"][0]["Expression"] == "100 * r"
    assert math["Metrics"][1]["MetricStat"]["Metric"]["MetricName"] == "RequestCount"

    life.change(changed(content, "Plain", Threshold=2))
    assert cloudwatch.describe_alarms(AlarmNames=["plain"])["MetricAlarms"][0]["Threshold"] == 2
    life.delete()
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []


def test_instance_groups(cloud: Endpoint) -> None:
    ecs, autoscaling = client(cloud, "ecs"), client(cloud, "autoscaling")
    content = network()
    content["Resources"] |= template(
        Launch=resource(
            "AWS::EC2::LaunchTemplate", LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "m6i.large"}
        ),
        Group=resource(
            "AWS::AutoScaling::AutoScalingGroup",
            MinSize="1",
            MaxSize="3",
            LaunchTemplate={"LaunchTemplateId": ref("Launch"), "Version": attribute("Launch", "LatestVersionNumber")},
            VPCZoneIdentifier=[ref("Subnet0"), ref("Subnet1")],
        ),
        Provider=resource(
            "AWS::ECS::CapacityProvider",
            Name="typed-cpu",
            AutoScalingGroupProvider={
                "AutoScalingGroupArn": ref("Group"),
                "ManagedScaling": {"Status": "ENABLED", "TargetCapacity": 100, "InstanceWarmupPeriod": 120},
            },
        ),
        Cluster=resource(
            "AWS::ECS::Cluster",
            ClusterName="typed",
            ClusterSettings=[{"Name": "containerInsights", "Value": "enabled"}],
        ),
        Providers=resource(
            "AWS::ECS::ClusterCapacityProviderAssociations",
            Cluster=ref("Cluster"),
            CapacityProviders=[ref("Provider")],
            DefaultCapacityProviderStrategy=[{"CapacityProvider": ref("Provider"), "Weight": 1}],
        ),
    )["Resources"]
    life = Lifecycle(cloud, "instances", content)
    (cluster,) = ecs.describe_clusters(clusters=["typed"], include=["SETTINGS"])["clusters"]
    assert cluster["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    assert cluster["capacityProviders"] == ["typed-cpu"]
    assert cluster["defaultCapacityProviderStrategy"] == [{"capacityProvider": "typed-cpu", "weight": 1}]
    (provider,) = ecs.describe_capacity_providers(capacityProviders=["typed-cpu"])["capacityProviders"]
    assert provider["autoScalingGroupProvider"]["managedScaling"]["instanceWarmupPeriod"] == 120

    # A new version of the launch template reaches the group without replacing it.
    after = changed(content, "Launch", LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "m6i.xlarge"})
    change = life.stacks.change_set("instances", after)["Changes"]
    assert {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"]["Replacement"] for c in change} == {
        "Launch": "False",
        "Group": "False",
    }
    life.change(changed(after, "Group", MaxSize="5"))
    (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[life.ids["Group"]])["AutoScalingGroups"]
    assert (group["MaxSize"], group["LaunchTemplate"]["Version"]) == (5, "2")
    life.delete()


def test_load_balancing_and_scaling_of_a_service(cloud: Endpoint) -> None:
    elb, scaling, ecs = client(cloud, "elbv2"), client(cloud, "application-autoscaling"), client(cloud, "ecs")
    content = _balanced_service()
    life = Lifecycle(cloud, "balanced", content)
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    assert f"http://{balancer['DNSName']}" == cloud.http_url
    assert balancer["State"]["Code"] == "active"
    (group,) = elb.describe_target_groups()["TargetGroups"]
    assert (group["HealthCheckPath"], group["HealthyThresholdCount"]) == ("/readyz", 2)
    attributes = elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "30"} in attributes
    definition = ecs.describe_task_definition(taskDefinition="typed")["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    assert definition["networkMode"] == "bridge"
    assert container["dockerLabels"] == {"Kept.As.It.Is": "yes"}
    assert container["logConfiguration"]["options"] == {"max-size": "10m"}
    assert container["portMappings"] == [{"containerPort": 8888, "hostPort": 0, "protocol": "tcp"}]
    (service,) = ecs.describe_services(cluster="balanced", services=["typed"])["services"]
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service["healthCheckGracePeriodSeconds"] == 30
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["ResourceId"], target["MaxCapacity"]) == ("service/balanced/typed", 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 5

    weights = [{"TargetGroupArn": ref("Targets"), "Weight": 10}, {"TargetGroupArn": ref("Others"), "Weight": 90}]
    after = changed(
        content, "Rule", Priority=7, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
    )
    after = changed(changed(after, "Targets", HealthCheckPath="/other"), "Scalable", MaxCapacity=8)
    after["Resources"]["Others"] = resource(
        "AWS::ElasticLoadBalancingV2::TargetGroup", VpcId=ref("Vpc"), Port=80, Protocol="HTTP"
    )
    stack = life.stacks.update("balanced", after)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", life.stacks.reasons("balanced", "UPDATE_FAILED")
    (rule,) = elb.describe_rules(RuleArns=[life.ids["Rule"]])["Rules"]
    assert rule["Priority"] == "7"
    assert [t["Weight"] for t in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]] == [10, 90]
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]["MaxCapacity"] == 8
    life.delete()
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def _balanced_service() -> dict[str, Any]:
    container = {
        "Name": "api",
        "Image": "any:image",
        "MemoryReservation": 64,
        "DockerLabels": {"Kept.As.It.Is": "yes"},
        "LogConfiguration": {"LogDriver": "json-file", "Options": {"max-size": "10m"}},
        "PortMappings": [{"ContainerPort": 8888, "HostPort": 0, "Protocol": "tcp"}],
    }
    tracking = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
    made = network()
    made["Resources"] |= template(
        Balancer=resource(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            Subnets=[ref("Subnet0"), ref("Subnet1")],
            LoadBalancerAttributes=tags(**{"idle_timeout.timeout_seconds": "300"}),
        ),
        Listener=resource(
            "AWS::ElasticLoadBalancingV2::Listener",
            LoadBalancerArn=ref("Balancer"),
            Port=80,
            Protocol="HTTP",
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        ),
        Targets=resource(
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            VpcId=ref("Vpc"),
            Port=8888,
            Protocol="HTTP",
            HealthCheckPath="/readyz",
            HealthyThresholdCount=2,
            TargetGroupAttributes=tags(**{"deregistration_delay.timeout_seconds": "30"}),
        ),
        Rule=resource(
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            ListenerArn=ref("Listener"),
            Priority=5,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/typed"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": ref("Targets")}],
        ),
        Cluster=resource("AWS::ECS::Cluster", ClusterName="balanced"),
        Definition=resource(
            "AWS::ECS::TaskDefinition",
            Family="typed",
            NetworkMode="bridge",
            RequiresCompatibilities=["EC2"],
            ContainerDefinitions=[container],
        ),
        Service={
            **resource(
                "AWS::ECS::Service",
                ServiceName="typed",
                Cluster=ref("Cluster"),
                DesiredCount=0,
                TaskDefinition=ref("Definition"),
                HealthCheckGracePeriodSeconds=30,
                LoadBalancers=[{"ContainerName": "api", "ContainerPort": 8888, "TargetGroupArn": ref("Targets")}],
                DeploymentConfiguration={"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}},
            ),
            "DependsOn": "Rule",
        },
        Scalable=resource(
            "AWS::ApplicationAutoScaling::ScalableTarget",
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceId={"Fn::Sub": "service/${Cluster}/${Service.Name}"},
            MinCapacity=0,
            MaxCapacity=4,
        ),
        Tracking=resource(
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            PolicyName="cpu",
            PolicyType="TargetTrackingScaling",
            ScalingTargetId=ref("Scalable"),
            TargetTrackingScalingPolicyConfiguration={**tracking, "TargetValue": 5},
        ),
    )["Resources"]
    return made


def test_build_project(cloud: Endpoint) -> None:
    codebuild = client(cloud, "codebuild")
    content = template(
        Project=resource(
            "AWS::CodeBuild::Project",
            Name="typed-builder",
            ServiceRole="arn:aws:iam::123456789012:role/builder",
            Artifacts={"Type": "NO_ARTIFACTS"},
            Environment={"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "standard:5.0"},
            Source={"Type": "NO_SOURCE", "BuildSpec": "version: 0.2"},
        )
    )
    life = Lifecycle(cloud, "builder", content)
    (project,) = codebuild.batch_get_projects(names=["typed-builder"])["projects"]
    assert project["source"] == {"type": "NO_SOURCE", "buildspec": "version: 0.2"}

    life.change(changed(content, "Project", Description="new"))
    (project,) = codebuild.batch_get_projects(names=["typed-builder"])["projects"]
    assert project["description"] == "new"
    life.delete()
    assert codebuild.list_projects()["projects"] == []
