"""What replicas may not do, and what to write so that they may: from AWS's own words."""

from __future__ import annotations

import pytest
import yaml

from cortex_cdk.config.sections.iam_policies import conflicts
from cortex_cdk.replicas.missing_permissions import remedy, with_remedy

WHO = "User: arn:aws:sts::123456789012:assumed-role/cortex-prod-api-x-TaskRole-1ABC/0123 is not authorized to perform: "
NO_POLICY = "because no identity-based policy allows the {} action"
CASES = [
    ("s3:GetObject", '"arn:aws:s3:::bucket/folder/key.json"', "arn:aws:s3:::bucket/folder/key.json"),
    ("secretsmanager:GetSecretValue", "prod/token", "prod/token"),
    ("ssm:GetParameter", "arn:aws:ssm:us-east-1:1:parameter/a", "arn:aws:ssm:us-east-1:1:parameter/a"),
    ("kms:Decrypt", "arn:aws:kms:us-east-1:1:key/2", "arn:aws:kms:us-east-1:1:key/2"),
    ("cloudwatch:PutMetricData", "*", "*"),
]


@pytest.mark.parametrize(("action", "said", "resource"), CASES)
def test_the_statement_that_is_missing(action: str, said: str, resource: str) -> None:
    text = (
        f"ClientError: An error occurred (AccessDenied) when calling the Operation operation: {WHO}{action} "
        f"on resource: {said} {NO_POLICY.format(action)}"
    )
    found = remedy(text)
    assert found
    assert found.startswith("add to cortex.yaml: predictor.iam_policies: ")
    [statement] = yaml.safe_load(found.partition("iam_policies: ")[2])
    assert statement == {"Effect": "Allow", "Action": action, "Resource": resource}
    if resource.startswith(("arn:", "*")):
        assert list(conflicts((statement,))) == []
    assert with_remedy(text) == f"{text}; {found}"


def test_a_deny_is_not_answered_by_an_allow() -> None:
    denied = f"{WHO}s3:PutObject on resource: arn:aws:s3:::b/k with an explicit deny in an identity-based policy"
    assert remedy(denied) == "a Deny forbids s3:PutObject: see predictor.iam_policies in cortex.yaml"
    bounded = f"{WHO}s3:PutObject on resource: x because no permissions boundary allows the s3:PutObject action"
    assert "permissions boundary" in (remedy(bounded) or "")


@pytest.mark.parametrize(
    "text", ["", "KeyError: 'authorized'", "User: anonymous is not authorized to perform: s3:GetObject"]
)
def test_other_texts(text: str) -> None:
    assert remedy(text) is None
    assert with_remedy(text) == text
