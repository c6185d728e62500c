"""``predictor.iam_policies``: what is accepted, and each mistake at its place."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.config.sections.iam_policies import conflicts, managed, statements

S3 = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.mark.parametrize(
    "policy",
    [
        READ_ONLY,
        "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
        "arn:aws:iam::123456789012:policy/team/features+a=b,c.d@e_f-g",
        "arn:aws-cn:iam::123456789012:policy/x",
        S3,
        {**S3, "Sid": "Read1", "Action": ["s3:Get*", "*"], "Resource": ["*", "arn:aws:s3:::a"]},
        {"Effect": "Deny", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::${aws:PrincipalTag/team}/*"},
        {**S3, "Condition": {"StringLike": {"s3:prefix": ["a", "b/*"]}, "Bool": {"aws:SecureTransport": True}}},
        {**S3, "Condition": {"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": "a"}, "Null": {"aws:x": "true"}}},
        {**S3, "Condition": {"NumericLessThanEquals": {"s3:max-keys": 10}, "NotIpAddress": {"aws:SourceIp": "::/0"}}},
    ],
)
def test_accepted(policy: Any) -> None:
    assert list(conflicts((policy,))) == []


@pytest.mark.parametrize(
    ("policy", "path", "words"),
    [
        ("AmazonS3ReadOnlyAccess", (0,), "must be the ARN of a policy"),
        ("arn:aws:s3:::bucket", (0,), "must be the ARN of a policy"),
        ("arn:aws:iam::aws:role/x", (0,), "must be the ARN of a policy"),
        ({**S3, "Effect": "allow"}, (0, "Effect"), "must be Allow or Deny"),
        ({"Action": "*", "Resource": "*"}, (0, "Effect"), "needs Effect"),
        ({"Effect": "Allow", "Resource": "*"}, (0,), "needs Action or NotAction"),
        ({"Effect": "Allow", "Action": "*"}, (0,), "needs Resource or NotResource"),
        ({**S3, "NotAction": "*"}, (0,), "has Action and NotAction"),
        ({**S3, "Action": "GetObject"}, (0, "Action"), "must be an action"),
        ({**S3, "Action": ["s3:GetObject", 5]}, (0, "Action", 1), "must be an action"),
        ({**S3, "Action": []}, (0, "Action"), "at least one"),
        ({**S3, "Resource": "s3://bucket/*"}, (0, "Resource"), "must be an ARN"),
        ({**S3, "Resource": {"a": "b"}}, (0, "Resource"), "must be an ARN"),
        ({**S3, "Sid": "with space"}, (0, "Sid"), "letters and digits"),
        ({**S3, "Condition": []}, (0, "Condition"), "must be a map of operators"),
        ({**S3, "Condition": {"StringSounds": {"a": "b"}}}, (0, "Condition", "StringSounds"), "is not an operator"),
        ({**S3, "Condition": {"StringLike": "b"}}, (0, "Condition", "StringLike"), "must be a map"),
        ({**S3, "Condition": {"StringLike": {"a": {}}}}, (0, "Condition", "StringLike"), "must be a map"),
        ({**S3, "Principal": "*"}, (0, "Principal"), "is not a field"),
        ({**S3, "Actions": "*"}, (0, "Actions"), "is not a field"),
        ({"Version": "2012-10-17", "Statement": [S3]}, (0, "Version"), "is not a field"),
    ],
)
def test_refused(policy: Any, path: tuple[Any, ...], words: str) -> None:
    found = list(conflicts((policy,)))
    assert path in found[0].fields
    assert words in found[0].message


def test_hints_say_what_was_meant() -> None:
    [first, *_] = conflicts(({**S3, "effect": "Allow"},))
    assert first.hint == "did you mean Effect?"
    [version, *_] = conflicts(({"Version": "1", "Statement": []},))
    assert "without Version and Statement" in (version.hint or "")


def test_what_is_unique_and_how_many_there_may_be() -> None:
    assert [one.message for one in conflicts((READ_ONLY, READ_ONLY))] == ["is in the list already"]
    [repeated] = conflicts(({**S3, "Sid": "a"}, {**S3, "Sid": "a"}))
    assert (repeated.fields, repeated.hint) == (((1, "Sid"),), "Sids must be unique")
    many = tuple(f"arn:aws:iam::123456789012:policy/p{n}" for n in range(11))
    assert list(conflicts(many[:10])) == []
    assert ["11 managed policies" in one.message for one in conflicts(many)] == [True]


def test_kinds() -> None:
    assert (managed((READ_ONLY, S3)), statements((READ_ONLY, S3))) == ([READ_ONLY], [S3])
