"""What is said where IAM does not allow a call. The texts are those of AWS ("Access denied error messages", IAM)."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from botocore.exceptions import ClientError

from cortex_cdk.aws.denials import read_denial
from cortex_cdk.aws.errors import explain
from cortex_cdk.stack_operations.events import StackEvent

USER = "arn:aws:iam::123456789012:user/dev"
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/cortex-prod/a"
MISSING = "because no identity-based policy allows the ecs:UpdateService action"
UPDATE = f"User: {USER} is not authorized to perform: ecs:UpdateService on resource: {SERVICE} {MISSING}"
LAUNCH = (
    f"You are not authorized to perform this operation. User: {USER} is not authorized to perform: ec2:RunInstances on "
    "resource: arn:aws:ec2:us-east-1:123456789012:instance/* with an explicit deny in a service control policy. "
    "Encoded authorization failure message: 1a2B-_c"
)
TAKEN = "arn:aws:sts::123456789012:assumed-role/cfn/AWSCloudFormation"
PRINTED = "the policies that are needed are printed by: cortex cluster policy"


def error(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("code", "message", "operation", "sentence"),
    [
        ("AccessDeniedException", UPDATE, "UpdateService", f"{USER} may not do ecs:UpdateService on {SERVICE}"),
        (
            "AccessDenied",
            f'User: {USER} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::b" because no '
            "identity-based policy allows the s3:ListBucket action",
            "GetObject",
            f"{USER} may not do s3:ListBucket on arn:aws:s3:::b",
        ),
        ("AccessDenied", "Access Denied", "ListObjectsV2", "the caller may not do s3:ListBucket"),
        (
            "403",
            "Forbidden",
            "HeadObject",
            "the caller may not do s3:GetObject (or s3:ListBucket, if the object does not exist)",
        ),
        ("UnauthorizedOperation", "You are not authorized.", "RunInstances", "the caller may not do RunInstances"),
        ("AuthorizationError", "no", "Publish", "the caller may not do Publish"),
        ("NotAuthorized", "no", "GetThing", "the caller may not do GetThing"),
    ],
)
def test_a_call_that_is_not_allowed_is_one_sentence(code: str, message: str, operation: str, sentence: str) -> None:
    shown = explain(error(code, message, operation), "prod")
    assert shown
    assert shown.message == f"{sentence} (environment 'prod')"
    assert shown.hint == PRINTED
    assert shown.details == (message,)


def test_the_encoded_reasons_of_ec2_come_with_what_reads_them() -> None:
    shown = explain(error("UnauthorizedOperation", LAUNCH, "RunInstances"), "prod")
    assert shown
    assert (
        "may not do ec2:RunInstances on arn:aws:ec2:us-east-1:123456789012:instance/*: a service control"
        in shown.message
    )
    assert shown.hint == (
        "ask whoever manages the service control policy: what other policies allow makes no difference"
    )
    assert shown.details[1] == (
        "AWS tells the reasons by: aws sts decode-authorization-message --encoded-message 1a2B-_c"
    )
    assert "1a2B" not in shown.details[0]


@pytest.mark.parametrize(
    "policy", ["permissions boundary", "service control policy", "resource control policy", "session policy"]
)
def test_what_another_kind_of_policy_forbids_is_not_for_the_user_to_allow(policy: str) -> None:
    for reason in (f"because no {policy} allows the s3:PutObject action", f"with an explicit deny in a {policy}"):
        denial = read_denial(f"User: {USER} is not authorized to perform: s3:PutObject on resource: x {reason}")
        assert denial
        assert denial.forbidden_by == policy
        assert f"a {policy} forbids it" in denial.sentence


@pytest.mark.parametrize(
    ("reason", "sentence", "remedy"),
    [
        (
            f'Resource handler returned message: "{UPDATE} (Service: AmazonECS; Status Code: 400)" '
            "(RequestToken: 1, HandlerErrorCode: AccessDenied)",
            f"service: {USER} may not do ecs:UpdateService on {SERVICE}",
            PRINTED,
        ),
        (
            "API: ec2:CreateVpc You are not authorized to perform this operation.",
            "service: the caller may not do ec2:CreateVpc",
            PRINTED,
        ),
        (
            UPDATE.replace(USER, TAKEN),
            f"service: {TAKEN} may not do ecs:UpdateService on {SERVICE}",
            "give the role of CloudFormation what this prints: cortex cluster policy --for cloudformation",
        ),
        ("The name is taken", "service: The name is taken", None),
    ],
)
def test_reasons_of_cloudformation_are_read_too(reason: str, sentence: str, remedy: str | None) -> None:
    event = StackEvent("1", datetime.now(timezone.utc), "Service", "AWS::ECS::Service", "CREATE_FAILED", reason)
    assert (event.explanation, event.remedy) == (sentence, remedy)


@pytest.mark.parametrize("code", ["ThrottlingException", "ValidationError", "404"])
def test_other_errors_are_no_denials(code: str) -> None:
    shown = explain(error(code, "what happened", "UpdateService"), "prod")
    assert shown
    assert shown.message == "UpdateService failed: what happened"
