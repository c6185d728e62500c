"""Names that are taken: early validation of change sets, and what a stack says that comes too late."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.localcloud.stacks import Stacks, client, log_group, template


def test_a_name_that_is_taken_fails_the_change_set_and_the_stack(cloud: Endpoint, stacks: Stacks) -> None:
    """Early validation: the change set's reason only points to DescribeEvents."""
    assert stacks.create("owner", template(Logs=log_group("/taken")))["StackStatus"] == "CREATE_COMPLETE"
    client(cloud, "logs").create_log_group(logGroupName="/by-hand")
    for name in ("/taken", "/by-hand"):
        content = template(Other=log_group("/other"), Mine=log_group(name))
        made = stacks.change_set("late", content, "CREATE")
        assert (made["Status"], made["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
        assert made["StatusReason"].startswith(
            "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]."
        )
        found = stacks.api.describe_events(ChangeSetName=made["ChangeSetId"], Filters={"FailedEvents": True})
        (event,) = found["OperationEvents"]
        assert (event["LogicalResourceId"], event["ValidationName"]) == ("Mine", "NAME_CONFLICT_VALIDATION")
        said = f"Resource of type 'AWS::Logs::LogGroup' with identifier '{name}' already exists."
        assert event["ValidationStatusReason"] == said
        stacks.api.delete_stack(StackName="late")

    # Without a change set nothing is checked early: the stack fails, and says whose it is.
    assert stacks.create("later", template(Mine=log_group("/taken")))["StackStatus"] == "ROLLBACK_COMPLETE"
    owner = stacks.api.describe_stacks(StackName="owner")["Stacks"][0]["StackId"]
    assert stacks.reasons("later", "CREATE_FAILED")[0] == f"/taken already exists in stack {owner}"


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        (
            "AWS::CloudWatch::Alarm",
            {"AlarmName": "mine", "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1,
             "Namespace": "n", "MetricName": "m", "Period": 60, "Statistic": "Sum", "Threshold": 1},
        ),
        ("AWS::CloudWatch::Dashboard", {"DashboardName": "mine", "DashboardBody": '{"widgets": []}'}),
        ("AWS::ECR::Repository", {"RepositoryName": "mine"}),
        (
            "AWS::ECS::CapacityProvider",
            {"Name": "mine", "AutoScalingGroupProvider": {"AutoScalingGroupArn": "arn:aws:autoscaling:x"}},
        ),
    ],
)  # fmt: skip
def test_no_stack_overwrites_what_another_one_has(stacks: Stacks, kind: str, properties: dict[str, Any]) -> None:
    content = {"Resources": {"It": {"Type": kind, "Properties": properties}}}
    first, second = (f"{word}-{kind.rpartition('::')[2]}" for word in ("first", "second"))
    assert stacks.create(first, content)["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.create(second, content)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert " already exists in stack " in stacks.reasons(second, "CREATE_FAILED")[0]
    assert stacks.delete(second)["StackStatus"] == "DELETE_COMPLETE"
    assert stacks.resources(first)["It"][1] == "CREATE_COMPLETE"
    assert stacks.delete(first)["StackStatus"] == "DELETE_COMPLETE"
