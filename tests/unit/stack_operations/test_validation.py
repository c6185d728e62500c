"""Why CloudFormation refused a change set. Its answers are given by botocore's own stubber."""

from __future__ import annotations

from botocore.stub import Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.validation import refusal

ARN = "arn:aws:cloudformation:us-east-1:123456789012:changeSet/c/1"
POINTER = "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]."
ASKED = {"ChangeSetName": ARN, "Filters": {"FailedEvents": True}}


def refused(*, events: list[dict[str, str]] | None) -> DeployError:
    """The error of a change set with these events; None is an account that may not read them."""
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    with Stubber(cloud.cloudformation) as stub:
        if events is None:
            stub.add_client_error("describe_events", "AccessDenied", expected_params=ASKED)
        else:
            stub.add_response("describe_events", {"OperationEvents": events}, ASKED)
        return refusal(cloud, "text", ARN, POINTER)


def event(resource: str, reason: str, **more: str) -> dict[str, str]:
    return {
        "LogicalResourceId": resource,
        "ResourceType": f"AWS::{resource}",
        "ValidationStatusReason": reason,
        "ValidationFailureMode": "FAIL",
        **more,
    }


def test_each_resource_is_named_with_its_reason() -> None:
    error = refused(
        events=[
            event("Logs", "exists", ValidationName="NAME_CONFLICT_VALIDATION", ValidationPath="/Resources/Logs"),
            event("Rule", "is odd", ValidationPath="/Resources/Rule/Properties/Priority"),
            event("Other", "only a warning", ValidationFailureMode="WARN"),
        ]
    )
    assert error.message == "text: logs: exists"
    assert error.details == ("rule: is odd (at /Properties/Priority)",)
    assert error.hint
    assert error.hint.startswith("delete what has that name")


def test_without_details_the_reason_has_to_do() -> None:
    error = refused(events=[])
    assert (error.message, error.hint) == (f"text: CloudFormation refuses the change: {POINTER}", None)


def test_a_missing_permission_is_named() -> None:
    error = refused(events=None)
    assert error.message.endswith(POINTER)
    assert error.hint == ("which resource it is could not be read (AccessDenied): allow cloudformation:DescribeEvents")
