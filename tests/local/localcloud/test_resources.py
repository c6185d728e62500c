"""Every resource type of ours is made, changed in place and removed, and boto3 sees what the template says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.lifecycle import Lifecycle, attribute, changed, network, ref, resource, tags
from tests.local.localcloud.stacks import Stacks, client, running, template

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


def test_certificates_and_records(cloud: Endpoint) -> None:
    acm, route53 = client(cloud, "acm"), client(cloud, "route53")
    zone = route53.create_hosted_zone(Name="example.net", CallerReference="1")["HostedZone"]["Id"].split("/")[-1]

    def records() -> dict[str, Any]:
        found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {f"{each['Name']} {each['Type']}": each for each in found if each["Type"] not in ("NS", "SOA")}

    domain = "a.example.net"
    content = template(
        Certificate=resource(
            "AWS::CertificateManager::Certificate",
            DomainName=domain,
            ValidationMethod="DNS",
            DomainValidationOptions=[{"DomainName": domain, "HostedZoneId": zone}],
        ),
        Values=resource(
            "AWS::Route53::RecordSet",
            Name="t.example.net",
            Type="TXT",
            TTL="60",
            ResourceRecords=['"x"'],
            HostedZoneId=zone,
        ),
        Alias=resource(
            "AWS::Route53::RecordSet",
            Name=f"{domain}.",
            Type="A",
            HostedZoneName="example.net.",
            AliasTarget={"DNSName": "dualstack.lb.example", "HostedZoneId": "Z1"},
        ),
    )
    life = Lifecycle(cloud, "domain", content)
    described = acm.describe_certificate(CertificateArn=life.ids["Certificate"])["Certificate"]
    assert (described["DomainName"], described["Status"]) == (domain, "ISSUED")
    assert records().keys() >= {f"{domain}. A", "t.example.net. TXT"}
    assert any(name.endswith(f".{domain}. CNAME") for name in records()), "the proof of the domain"
    life.change(changed(content, "Values", ResourceRecords=['"y"'], TTL="120"))
    assert records()["t.example.net. TXT"]["ResourceRecords"] == [{"Value": '"y"'}]

    moved = changed(content, "Values", Name="u.example.net")
    life.stacks.update("domain", moved)
    assert "t.example.net. TXT" not in records(), "another name is another record"
    assert "u.example.net. TXT" in records()
    life.delete()
    assert acm.list_certificates()["CertificateSummaryList"] == []
    assert [name.rpartition(" ")[2] for name in records()] == ["CNAME"], "CloudFormation leaves the proof"

    stranger = changed(content, "Alias", Name="a.example.org.")
    Stacks(cloud).create("stranger", stranger)
    assert "is not permitted in zone example.net" in str(Stacks(cloud).reasons("stranger", "CREATE_FAILED"))
