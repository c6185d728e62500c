"""Resources in words: nothing that people read has a logical id of the CDK."""

import pytest

from cortex_cdk.stack_operations.resource_words import in_words, without_ids


@pytest.mark.parametrize(
    ("logical_id", "kind", "words"),
    [
        ("ServiceD69D759B", "AWS::ECS::Service", "service"),
        ("TaskDefinition21A4D618", "AWS::ECS::TaskDefinition", "task definition"),
        ("TaskExecutionRoleEF964934", "AWS::IAM::Role", "task execution role"),
        ("TaskTaskRoleE98524A1", "AWS::IAM::Role", "task role"),
        ("Targets7ED976EF", "AWS::ElasticLoadBalancingV2::TargetGroup", "target group"),
        ("Rule4C995B7F", "AWS::ElasticLoadBalancingV2::ListenerRule", "listener rule"),
        ("AlarmsErrorsE6AA3AE1", "AWS::CloudWatch::Alarm", "alarm (errors)"),
        ("Logs", "AWS::Logs::LogGroup", "log group"),
        ("ServiceTaskCountTarget23E25614", "AWS::ApplicationAutoScaling::ScalableTarget", "scalable target"),
        (
            "ServiceTaskCountTargetRequestsInFlightE9566322",
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            "scaling policy (requests in flight)",
        ),
        ("DoorLoadBalancer728723CD", "AWS::ElasticLoadBalancingV2::LoadBalancer", "door load balancer"),
        ("GroupcpuInstancesASG215A7246", "AWS::AutoScaling::AutoScalingGroup", "auto scaling group (cpu)"),
        ("GroupgpuspotTemplate268AB1C5", "AWS::EC2::LaunchTemplate", "launch template (gpuspot)"),
        ("GroupcpuTemplateProfileC5A9633F", "AWS::IAM::InstanceProfile", "instance profile (cpu)"),
        (
            "DoorSecurityGrouptocortexlocalclusterX582DDD54",
            "AWS::EC2::SecurityGroupEgress",
            "security group egress (door)",
        ),
    ],
)
def test_a_resource_is_named_by_its_type_and_what_tells_it_from_others(logical_id: str, kind: str, words: str) -> None:
    assert in_words(logical_id, kind) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The following resource(s) failed to update: [ServiceD69D759B].", "[service]."),
        ("failed to delete: [AlarmsErrorsE6AA3AE1, Logs].", "[alarms errors, Logs]."),
        ("Resource ServiceD69D759B is busy", "Resource service is busy"),
        # Physical names stay as they are in the account.
        ("cortex-local-api-a-TaskRole30FC0FBB-X1 exists", "cortex-local-api-a-TaskRole30FC0FBB-X1 exists"),
        ("arn:aws:iam::123456789012:role/Role30FC0FBB", "role/Role30FC0FBB"),
    ],
)
def test_reasons_have_words_in_the_place_of_ids(text: str, words: str) -> None:
    assert without_ids(text).endswith(words)
