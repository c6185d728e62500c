"""How an API's template lets the number of its replicas follow the load."""

from __future__ import annotations

from pathlib import Path

import pytest
from aws_cdk.assertions import Match, Template

from tests.stacks.matrix import api_spec
from tests.stacks.synthesized import template_of

POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"
COOLDOWNS = {"ScaleInCooldown": 600, "ScaleOutCooldown": 30}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return template_of(api_spec("scaled"), tmp_path_factory.mktemp("cdk.out"))


def test_the_bounds_of_scaling(template: Template) -> None:
    [resource] = template.find_resources("AWS::ApplicationAutoScaling::ScalableTarget").values()
    target = resource["Properties"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 8)
    assert (target["ServiceNamespace"], target["ScalableDimension"]) == ("ecs", "ecs:service:DesiredCount")


def test_scaling_follows_requests_per_second(template: Template) -> None:
    template.resource_count_is(POLICY, 2)
    template.has_resource_properties(
        POLICY,
        {
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                # The metric counts requests per minute.
                "TargetValue": 2.5 * 60,
                # Without requests the metric has no data, and a policy without data lets no other one scale in.
                "CustomizedMetricSpecification": {
                    "Metrics": [
                        {
                            "Id": "requests",
                            "MetricStat": {
                                "Metric": {
                                    "Namespace": "AWS/ApplicationELB",
                                    "MetricName": "RequestCountPerTarget",
                                    "Dimensions": [
                                        {
                                            "Name": "LoadBalancer",
                                            "Value": api_spec("scaled").cluster.load_balancer_full_name,
                                        },
                                        {
                                            "Name": "TargetGroup",
                                            "Value": {"Fn::GetAtt": [Match.any_value(), "TargetGroupFullName"]},
                                        },
                                    ],
                                },
                                "Stat": "Sum",
                            },
                            "ReturnData": False,
                        },
                        {"Id": "filled", "Expression": "FILL(requests, 0)"},
                    ]
                },
                **COOLDOWNS,
            },
        },
    )


def test_scaling_follows_requests_in_flight(template: Template) -> None:
    template.has_resource_properties(
        POLICY,
        {
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 6.5,
                "CustomizedMetricSpecification": {
                    "Namespace": "Cortex",
                    "MetricName": "InFlight",
                    # With the cluster: an account may hold another one with an API of this name.
                    "Dimensions": [
                        {"Name": "Api", "Value": "scaled"},
                        {"Name": "Cluster", "Value": api_spec("scaled").cluster.cluster},
                    ],
                    # Average: requests in flight per replica, since each publishes its own.
                    "Statistic": "Average",
                },
                **COOLDOWNS,
            },
        },
    )


def test_the_rate_scales_nothing_unless_it_is_written(tmp_path: Path) -> None:
    template = template_of(api_spec("plain"), tmp_path)
    [policy] = template.find_resources(POLICY).values()
    assert policy["Properties"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 1
    template.has_resource_properties(
        "AWS::ApplicationAutoScaling::ScalableTarget", {"MinCapacity": 1, "MaxCapacity": 10}
    )
