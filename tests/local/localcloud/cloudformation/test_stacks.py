"""CloudFormation of the local cloud behaves as AWS's: what the deployer and the stock tools rely on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.localcloud.stacks import (
    Stacks,
    client,
    log_group,
    log_groups,
    template,
)


def test_a_stack_is_created_in_the_order_of_its_references(cloud: Endpoint, stacks: Stacks) -> None:
    content = template(
        Last=log_group({"Fn::Sub": "${First}-last"}), First=log_group("first"), Middle=log_group("middle")
    )
    content["Resources"]["Middle"]["DependsOn"] = "Last"
    content["Outputs"] = {"Name": {"Value": {"Ref": "Last"}, "Description": "its name"}}

    stack = stacks.create("order", content, Tags=[{"Key": "team", "Value": "a"}])

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Outputs"] == [{"OutputKey": "Name", "OutputValue": "first-last", "Description": "its name"}]
    assert stack["Tags"] == [{"Key": "team", "Value": "a"}]
    done = [name for name, status in stacks.events("order") if status == "CREATE_COMPLETE"]
    assert done == ["First", "Last", "Middle", "order"]
    assert stacks.resources("order")["Last"] == ("first-last", "CREATE_COMPLETE")
    assert stacks.api.get_template(StackName="order")["TemplateBody"] == content


def test_a_change_set_creates_a_stack_only_when_it_is_executed(cloud: Endpoint, stacks: Stacks) -> None:
    change = stacks.change_set("review", template(Group=log_group("reviewed")), "CREATE")

    assert change["Status"] == "CREATE_COMPLETE"
    assert [(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in change["Changes"]] == [
        ("Add", "Group")
    ]
    assert stacks.api.describe_stacks(StackName="review")["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert "reviewed" not in log_groups(cloud)

    stacks.api.execute_change_set(ChangeSetName=change["ChangeSetId"])

    assert stacks.settled(change["StackId"])["StackStatus"] == "CREATE_COMPLETE"
    assert "reviewed" in log_groups(cloud)


def test_a_change_in_place_keeps_the_resource(cloud: Endpoint, stacks: Stacks) -> None:
    stacks.create("place", template(Group=log_group("kept", RetentionInDays=7), Other=log_group("other")))
    client(cloud, "logs").create_log_stream(logGroupName="kept", logStreamName="here")

    changed = template(Group=log_group("kept", RetentionInDays=30), Other=log_group("other"))
    change = stacks.change_set("place", changed)["Changes"][0]["ResourceChange"]
    assert (change["Action"], change["LogicalResourceId"], change["Replacement"]) == ("Modify", "Group", "False")
    target = change["Details"][0]["Target"]
    assert (target["Name"], target["BeforeValue"], target["AfterValue"]) == ("RetentionInDays", "7", "30")

    assert stacks.update("place", changed)["StackStatus"] == "UPDATE_COMPLETE"
    assert log_groups(cloud)["kept"] == 30
    assert len(client(cloud, "logs").describe_log_streams(logGroupName="kept")["logStreams"]) == 1
    touched = {name for name, status in stacks.events("place") if status.startswith("UPDATE")}
    assert touched == {"place", "Group"}


def test_what_cannot_change_in_place_is_replaced_and_the_old_one_removed_last(cloud: Endpoint, stacks: Stacks) -> None:
    stacks.create("replace", template(Group=log_group("before")))
    change = stacks.change_set("replace", template(Group=log_group("after")))["Changes"][0]["ResourceChange"]
    assert change["Replacement"] == "True"
    assert change["Details"][0]["Target"]["RequiresRecreation"] == "Always"

    stacks.update("replace", template(Group=log_group("after")))

    assert set(log_groups(cloud)) >= {"after"} and "before" not in log_groups(cloud)
    assert stacks.events("replace")[-7:] == [
        ("Group", "UPDATE_IN_PROGRESS"),
        ("Group", "UPDATE_IN_PROGRESS"),
        ("Group", "UPDATE_COMPLETE"),
        ("replace", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("Group", "DELETE_IN_PROGRESS"),
        ("Group", "DELETE_COMPLETE"),
        ("replace", "UPDATE_COMPLETE"),
    ]


def test_a_resource_that_depends_on_a_replaced_one_follows(stacks: Stacks) -> None:
    def content(name: str) -> dict[str, Any]:
        return template(A=log_group(name), B=log_group({"Fn::Sub": "${A}-b"}))

    stacks.create("follow", content("one"))
    changes = stacks.change_set("follow", content("two"))["Changes"]
    follower = changes[1]["ResourceChange"]
    assert (follower["LogicalResourceId"], follower["Replacement"]) == ("B", "Conditional")
    assert follower["Details"][0]["Evaluation"] == "Dynamic"

    stacks.update("follow", content("two"))
    assert stacks.resources("follow")["B"][0] == "two-b"


def test_parameters_change_resources_with_the_previous_template(cloud: Endpoint, stacks: Stacks) -> None:
    content = template(Group=log_group({"Ref": "Name"}, RetentionInDays={"Ref": "Days"}))
    content["Parameters"] = {"Name": {"Type": "String"}, "Days": {"Type": "Number", "Default": 7}}
    stacks.create("values", content, Parameters=[{"ParameterKey": "Name", "ParameterValue": "valued"}])
    assert log_groups(cloud)["valued"] == 7

    kept = {"ParameterKey": "Name", "UsePreviousValue": True}
    answer = stacks.api.create_change_set(
        StackName="values",
        ChangeSetName="more",
        UsePreviousTemplate=True,
        Parameters=[kept, {"ParameterKey": "Days", "ParameterValue": "30"}],
    )
    change = stacks.api.describe_change_set(ChangeSetName=answer["Id"])
    assert [c["ResourceChange"]["Replacement"] for c in change["Changes"]] == ["False"]
    stacks.api.execute_change_set(ChangeSetName=answer["Id"])
    assert stacks.settled(answer["StackId"])["StackStatus"] == "UPDATE_COMPLETE"
    assert log_groups(cloud)["valued"] == 30


def test_no_change_is_said_and_nothing_is_done(stacks: Stacks) -> None:
    content = template(Group=log_group("same"))
    stacks.create("same", content)

    change = stacks.change_set("same", {**content, "Description": "other words"})
    assert change["Status"] == "FAILED"
    assert "didn't contain changes" in change["StatusReason"]
    with pytest.raises(ClientError, match="cannot be executed"):
        stacks.api.execute_change_set(ChangeSetName=change["ChangeSetId"])
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.update("same", content)


def test_only_outputs_and_tags_can_change_too(stacks: Stacks) -> None:
    content = template(Group=log_group("plain"))
    stacks.create("plain", content)

    stacks.update("plain", {**content, "Outputs": {"New": {"Value": "value"}}})
    stack = stacks.update("plain", content, Tags=[{"Key": "k", "Value": "v"}])

    assert "Outputs" not in stack or stack["Outputs"] == []
    assert stack["Tags"] == [{"Key": "k", "Value": "v"}]


def test_tags_of_a_stack_are_those_of_its_resources(cloud: Endpoint, stacks: Stacks) -> None:
    logs = client(cloud, "logs")
    group = log_group("tagged")
    group["Properties"]["Tags"] = [{"Key": "own", "Value": "1"}, {"Key": "both", "Value": "own"}]

    def tags() -> Any:
        (found,) = logs.describe_log_groups(logGroupNamePrefix="tagged")["logGroups"]
        return logs.list_tags_for_resource(resourceArn=found["arn"].removesuffix(":*"))["tags"]

    stacks.create("tagged", template(Group=group), Tags=[{"Key": "k", "Value": "v"}, {"Key": "both", "Value": "stack"}])
    assert tags() == {"own": "1", "both": "own", "k": "v"}
    stacks.update("tagged", template(Group=group), Tags=[{"Key": "k", "Value": "w"}])
    assert tags() == {"own": "1", "both": "own", "k": "w"}


def test_retained_resources_outlive_their_stack(cloud: Endpoint, stacks: Stacks) -> None:
    content = template(Kept={**log_group("outlives"), "DeletionPolicy": "Retain"}, Gone=log_group("goes"))
    stacks.create("retain", content)

    assert stacks.delete("retain")["StackStatus"] == "DELETE_COMPLETE"

    assert "outlives" in log_groups(cloud) and "goes" not in log_groups(cloud)
    client(cloud, "logs").delete_log_group(logGroupName="outlives")


def test_a_protected_stack_is_not_deleted(stacks: Stacks) -> None:
    stacks.create("protected", template(Group=log_group("protected")), EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        stacks.api.delete_stack(StackName="protected")
    assert stacks.api.describe_stacks(StackName="protected")["Stacks"][0]["EnableTerminationProtection"] is True


def test_deleting_what_does_not_exist_is_no_error_and_describing_it_is(stacks: Stacks) -> None:
    stacks.api.delete_stack(StackName="never-was")
    with pytest.raises(ClientError, match="Stack with id never-was does not exist") as refusal:
        stacks.api.describe_stacks(StackName="never-was")
    assert refusal.value.response["Error"]["Code"] == "ValidationError"


def test_a_deleted_stack_is_found_by_its_id_only(stacks: Stacks) -> None:
    identity = stacks.create("gone", template(Group=log_group("gone")))["StackId"]
    stacks.delete("gone")
    assert stacks.api.describe_stacks(StackName=identity)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist"):
        stacks.api.describe_stacks(StackName="gone")


@pytest.mark.parametrize(
    ("content", "parameters", "message"),
    [
        ({"Resources": {}}, {}, "At least one Resources member"),
        (template(A={"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Ref": "No"}}}), {}, r"\[No\]"),
        (template(A=log_group({"Ref": "B"}), B=log_group({"Ref": "A"})), {}, r"Circular dependency .*\[A, B\]"),
        ({**template(A=log_group("a")), "Parameters": {"P": {"Type": "String"}}}, {}, r"\[P\] must have values"),
        (template(A=log_group("a")), {"Q": "1"}, r"\[Q\] do not exist in the template"),
        (
            {**template(A=log_group("a")), "Parameters": {"P": {"Type": "Number", "MaxValue": 3}}},
            {"P": "4"},
            "'P' is above its MaxValue 3",
        ),
    ],
)
def test_wrong_templates_are_refused_before_anything_is_made(
    stacks: Stacks, content: dict[str, Any], parameters: dict[str, str], message: str
) -> None:
    sent = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    with pytest.raises(ClientError, match=message):
        stacks.create("wrong", content, Parameters=sent)
    assert [s["StackName"] for s in stacks.api.describe_stacks()["Stacks"]] == []


def test_iam_resources_need_consent(stacks: Stacks) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "named", "AssumeRolePolicyDocument": {}}}
    with pytest.raises(ClientError, match="CAPABILITY_NAMED_IAM") as refusal:
        stacks.api.create_stack(StackName="iam", TemplateBody=json.dumps(template(Role=role)))
    assert refusal.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"


def test_yaml_with_short_forms_and_conditions(cloud: Endpoint, stacks: Stacks) -> None:
    body = """
Parameters:
  Keep: {Type: String, Default: "no"}
Conditions:
  Keeps: !Equals [!Ref Keep, "yes"]
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Sub "${AWS::StackName}-${AWS::Region}"
      RetentionInDays: !If [Keeps, 30, !Ref AWS::NoValue]
  Never:
    Condition: Keeps
    Type: AWS::Logs::LogGroup
Outputs:
  Arn: {Value: !GetAtt Group.Arn}
"""
    identity = stacks.api.create_stack(StackName="yaml", TemplateBody=body)["StackId"]
    stack = stacks.settled(identity)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.reasons("yaml", "CREATE_FAILED")
    assert stack["Outputs"][0]["OutputValue"].endswith(":log-group:yaml-us-east-1:*")
    assert log_groups(cloud)["yaml-us-east-1"] is None
    assert list(stacks.resources("yaml")) == ["Group"]


def test_the_machine_images_that_aws_publishes_resolve(stacks: Stacks) -> None:
    path = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    content = template(Group=log_group({"Ref": "Image"}))
    content["Parameters"] = {"Image": {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": path}}
    stack = stacks.create("image", content)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.resources("image")["Group"][0].startswith("ami-")


def test_drift_is_what_somebody_has_changed_or_deleted(stacks: Stacks, cloud: Endpoint) -> None:
    logs = client(cloud, "logs")
    groups = {name: log_group(f"drift-{name}", RetentionInDays=7) for name in ("Same", "Changed", "Gone")}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}}
    stacks.create("drift", template(**groups, Role=role))

    def detect() -> tuple[str, int, dict[str, str]]:
        detection = stacks.api.detect_stack_drift(StackName="drift")["StackDriftDetectionId"]
        status = stacks.api.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        assert status["DetectionStatus"] == "DETECTION_COMPLETE"
        found = stacks.api.describe_stack_resource_drifts(StackName="drift")["StackResourceDrifts"]
        statuses = {one["LogicalResourceId"]: one["StackResourceDriftStatus"] for one in found}
        return status["StackDriftStatus"], status["DriftedStackResourceCount"], statuses

    assert detect() == ("IN_SYNC", 0, dict.fromkeys(groups, "IN_SYNC"))
    logs.put_retention_policy(logGroupName="drift-Changed", retentionInDays=30)
    logs.delete_log_group(logGroupName="drift-Gone")
    assert detect() == ("DRIFTED", 2, {"Same": "IN_SYNC", "Changed": "MODIFIED", "Gone": "DELETED"})
    [modified] = stacks.api.describe_stack_resource_drifts(
        StackName="drift", StackResourceDriftStatusFilters=["MODIFIED"]
    )["StackResourceDrifts"]
    assert modified["PropertyDifferences"] == [
        {"PropertyPath": "/RetentionInDays", "ExpectedValue": "7", "ActualValue": "30", "DifferenceType": "NOT_EQUAL"}
    ]
    [stack] = stacks.api.describe_stacks(StackName="drift")["Stacks"]
    assert stack["DriftInformation"]["StackDriftStatus"] == "DRIFTED"
