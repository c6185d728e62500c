"""Operations that fail, are cancelled or are asked for at the wrong moment: stacks go back, and say why."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.localcloud.stacks import (
    CAPABILITIES,
    Stacks,
    client,
    log_group,
    log_groups,
    stuck_service,
    template,
)
from tests.local.waiting import until

BROKEN = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "x"}}
"""A resource that cannot be made: names of buckets have at least 3 characters."""


def test_a_creation_that_fails_removes_what_it_made_and_tells_why(cloud: Endpoint, stacks: Stacks) -> None:
    stack = stacks.create("fails", template(Group=log_group("short-lived"), Bad={**BROKEN, "DependsOn": "Group"}))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "short-lived" not in log_groups(cloud)
    assert len(stacks.reasons("fails", "CREATE_FAILED")) == 1
    assert "bucket is not valid" in stacks.reasons("fails", "CREATE_FAILED")[0]
    assert "failed to create: [Bad]" in stacks.reasons("fails", "ROLLBACK_IN_PROGRESS")[0]
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        stacks.update("fails", template(Group=log_group("short-lived")))


@pytest.mark.parametrize(("on_failure", "status"), [("DELETE", "DELETE_COMPLETE"), ("DO_NOTHING", "CREATE_FAILED")])
def test_what_is_left_of_a_failed_creation_is_the_callers_choice(stacks: Stacks, on_failure: str, status: str) -> None:
    stack = stacks.create(f"left-{status[:6].lower()}", template(Bad=BROKEN), OnFailure=on_failure)
    assert stack["StackStatus"] == status


def test_a_failed_update_goes_back_to_what_was(cloud: Endpoint, stacks: Stacks) -> None:
    before = template(Group=log_group("back", RetentionInDays=7), Moved=log_group("old-place"))
    stacks.create("back", before)
    after = template(
        Group=log_group("back", RetentionInDays=30),
        Moved=log_group("new-place"),
        New=log_group("new"),
        Bad={**BROKEN, "DependsOn": ["Group", "Moved", "New"]},
    )

    stack = stacks.update("back", after)

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    found = log_groups(cloud)
    assert found["back"] == 7
    assert "old-place" in found and not {"new-place", "new"} & set(found)
    assert stacks.api.get_template(StackName="back")["TemplateBody"] == before
    failures = [name for name, status in stacks.events("back") if status.endswith("_FAILED")]
    assert failures == ["Bad"]
    assert stacks.update("back", template(Group=log_group("back")))["StackStatus"] == "UPDATE_COMPLETE"


def test_a_type_that_cannot_be_made_fails_the_stack(stacks: Stacks) -> None:
    stack = stacks.create("unknown", template(Thing={"Type": "AWS::Nowhere::Thing", "Properties": {}}))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "cannot make resources of type AWS::Nowhere::Thing" in stacks.reasons("unknown", "CREATE_FAILED")[0]


def test_a_misspelt_property_fails_the_stack(stacks: Stacks) -> None:
    stack = stacks.create("typo", template(Group=log_group("typo", RetentionInDay=7)))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reasons("typo", "CREATE_FAILED") == ["Encountered unsupported property RetentionInDay"]


def test_a_deletion_that_fails_says_so_and_can_be_repeated(cloud: Endpoint, stacks: Stacks) -> None:
    s3 = client(cloud, "s3")
    stacks.create("full", template(Bucket={"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full-bucket"}}))
    s3.put_object(Bucket="full-bucket", Key="left", Body=b"over")

    stack = stacks.delete("full")

    assert stack["StackStatus"] == "DELETE_FAILED"
    assert "not empty" in stacks.reasons("full", "DELETE_FAILED")[0]
    s3.delete_object(Bucket="full-bucket", Key="left")
    assert stacks.delete("full")["StackStatus"] == "DELETE_COMPLETE"


def test_an_operation_that_runs_is_not_disturbed_but_can_be_cancelled(cloud: Endpoint, stacks: Stacks) -> None:
    ecs = client(cloud, "ecs")
    before = stuck_service(desired=0)
    assert stacks.create("slow", before)["StackStatus"] == "CREATE_COMPLETE"

    # Its image does not exist and nothing stops the deployment, so it would go on for hours.
    stacks.api.update_stack(
        StackName="slow", TemplateBody=json.dumps(stuck_service(desired=1)), Capabilities=CAPABILITIES
    )
    assert stacks.api.describe_stacks(StackName="slow")["Stacks"][0]["StackStatus"] == "UPDATE_IN_PROGRESS"
    with pytest.raises(ClientError, match="UPDATE_IN_PROGRESS state and can not be updated"):
        stacks.update("slow", before)
    with pytest.raises(ClientError, match="cannot be deleted while in status UPDATE_IN_PROGRESS"):
        stacks.api.delete_stack(StackName="slow")

    stacks.api.cancel_update_stack(StackName="slow")

    identity = stacks.api.describe_stacks(StackName="slow")["Stacks"][0]["StackId"]
    assert stacks.settled(identity)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.reasons("slow", "UPDATE_ROLLBACK_IN_PROGRESS") == ["User Initiated"]
    service = ecs.describe_services(cluster="slow", services=["slow"])["services"][0]
    assert service["desiredCount"] == 0
    with pytest.raises(ClientError, match="cannot be called from current stack status"):
        stacks.api.cancel_update_stack(StackName="slow")


def test_a_rollback_that_fails_can_be_continued(cloud: Endpoint, stacks: Stacks) -> None:
    logs = client(cloud, "logs")
    before, after = stuck_service(desired=0), stuck_service(desired=1)
    before["Resources"]["Group"] = log_group("fragile", RetentionInDays=7)
    after["Resources"]["Group"] = log_group("fragile", RetentionInDays=30)
    after["Resources"]["Service"]["DependsOn"] = "Group"
    identity = stacks.create("fragile", before)["StackId"]
    stacks.api.update_stack(StackName="fragile", TemplateBody=json.dumps(after), Capabilities=CAPABILITIES)
    until(lambda: ("Service", "UPDATE_IN_PROGRESS") in stacks.events("fragile"))

    logs.delete_log_group(logGroupName="fragile")
    stacks.api.cancel_update_stack(StackName="fragile")
    assert stacks.settled(identity)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"

    logs.create_log_group(logGroupName="fragile")
    stacks.api.continue_update_rollback(StackName="fragile")
    assert stacks.settled(identity)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert log_groups(cloud)["fragile"] == 7


def test_a_stack_that_is_being_created_can_be_deleted(stacks: Stacks) -> None:
    answer = stacks.api.create_stack(
        StackName="hasty", TemplateBody=json.dumps(stuck_service(desired=1)), Capabilities=CAPABILITIES
    )
    stacks.api.delete_stack(StackName="hasty")
    assert stacks.settled(answer["StackId"])["StackStatus"] == "DELETE_COMPLETE"
