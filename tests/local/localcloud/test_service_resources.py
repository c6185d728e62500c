"""The resource types that a service needs: instance groups, load balancing, the service itself, scaling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.lifecycle import Lifecycle, attribute, changed, network, ref, resource, tags
from tests.local.localcloud.stacks import Stacks, client, running, template
from tests.local.waiting import until


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("resources") / "local") as endpoint:
        yield endpoint


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


def test_load_balancers_share_one_address_so_a_path_belongs_to_one(cloud: Endpoint) -> None:
    stacks = Stacks(cloud)
    content = network()
    content["Resources"] |= _load_balancing()
    first = stacks.create("first", content)
    assert first["StackStatus"] == "CREATE_COMPLETE"
    second = stacks.create("second", content)
    assert second["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("has the path /typed" in reason for reason in stacks.reasons("second", "CREATE_FAILED"))
    for name in ("first", "second"):
        stacks.api.delete_stack(StackName=name)


def _balanced_service() -> dict[str, Any]:
    made = network()
    made["Resources"] |= {**_load_balancing(), **_service_behind_it(), **_scaling_of_it()}
    return made


def _load_balancing() -> dict[str, Any]:
    return template(
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
    )["Resources"]


def _service_behind_it() -> dict[str, Any]:
    container = {
        "Name": "api",
        "Image": "any:image",
        "MemoryReservation": 64,
        "DockerLabels": {"Kept.As.It.Is": "yes"},
        "LogConfiguration": {"LogDriver": "json-file", "Options": {"max-size": "10m"}},
        "PortMappings": [{"ContainerPort": 8888, "HostPort": 0, "Protocol": "tcp"}],
    }
    return template(
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
    )["Resources"]


def _scaling_of_it() -> dict[str, Any]:
    tracking = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
    return template(
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


def test_service_deployments_and_what_alarms_did(cloud: Endpoint) -> None:
    ecs, cloudwatch = client(cloud, "ecs"), client(cloud, "cloudwatch")
    ecs.create_cluster(clusterName="told")
    container = {"name": "c", "image": "no/such:image", "memory": 64}
    for _ in range(2):
        ecs.register_task_definition(family="told", containerDefinitions=[container])
    ecs.create_service(cluster="told", serviceName="told", taskDefinition="told:1", desiredCount=0)

    def listed(**only: Any) -> list[tuple[str, str]]:
        found = ecs.list_service_deployments(cluster="told", service="told", **only)["serviceDeployments"]
        return [(one["serviceDeploymentArn"], one["status"]) for one in found]

    until(lambda: [status for _, status in listed()] == ["SUCCESSFUL"])
    ecs.update_service(cluster="told", service="told", taskDefinition="told:2", desiredCount=1)
    (second, status), (first, _) = listed()
    assert status == "IN_PROGRESS"
    assert listed(status=["IN_PROGRESS"]) == [(second, "IN_PROGRESS")]
    ecs.stop_service_deployment(serviceDeploymentArn=second, stopType="ROLLBACK")
    answer = ecs.describe_service_deployments(serviceDeploymentArns=[first, second, f"{first}9"])
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]
    before, stopped = answer["serviceDeployments"]
    assert (before["status"], stopped["status"]) == ("SUCCESSFUL", "ROLLBACK_IN_PROGRESS")
    assert "stopped by user" in stopped["rollback"]["reason"]
    assert stopped["deploymentCircuitBreaker"] == {"status": "DISABLED", "failureCount": 0, "threshold": 3}
    ecs.update_service(cluster="told", service="told", desiredCount=0)
    until(lambda: listed() == [(second, "ROLLBACK_SUCCESSFUL"), (first, "SUCCESSFUL")])
    ecs.delete_service(cluster="told", service="told", force=True)

    cloudwatch.put_metric_alarm(
        AlarmName="told",
        Namespace="N",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="told", StateValue="ALARM", StateReason="by hand")
    changes = cloudwatch.describe_alarm_history(AlarmName="told", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert changes[0]["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
    assert json.loads(changes[0]["HistoryData"])["newState"]["stateReason"] == "by hand"
    oldest = cloudwatch.describe_alarm_history(AlarmName="told", ScanBy="TimestampAscending", MaxRecords=1)
    assert [item["HistoryItemType"] for item in oldest["AlarmHistoryItems"]] == ["ConfigurationUpdate"]
    assert "NextToken" in oldest
    assert cloudwatch.describe_alarm_history(AlarmName="unknown")["AlarmHistoryItems"] == []
