"""What policies say about a request: the rules of IAM's "Policy evaluation logic"."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.iam.decision import Access, Principal, refusal, trusts, trusts_service

SESSION = "arn:aws:sts::123456789012:assumed-role/reader/task"
ROLE = "arn:aws:iam::123456789012:role/reader"
OBJECT = "arn:aws:s3:::bucket/key"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **one} for one in statements]}


def principal(*policies: dict[str, Any], **rest: Any) -> Principal:
    return Principal(SESSION, policies, role_arn=ROLE, context={"aws:username": ("anna",)}, **rest)


def is_allowed(statement: dict[str, Any], access: Access) -> bool:
    return refusal(principal(policy(statement)), access) is None


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Action": "s3:GetObject"}, True),
        ({"Action": "S3:getobject"}, True),
        ({"Action": "s3:Get*"}, True),
        ({"Action": "s3:GetObjec?"}, True),
        ({"Action": "*"}, True),
        ({"Action": ["s3:PutObject", "s3:GetObject"]}, True),
        ({"Action": "s3:GetObjectAcl"}, False),
        ({"Action": "s3:Get"}, False),
        ({"NotAction": "s3:PutObject"}, True),
        ({"NotAction": "s3:*"}, False),
        ({"Action": "s3:*", "Resource": OBJECT}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::b*"}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}, False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::BUCKET/key"}, False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3"}, True),
        ({"Action": "s3:*", "Resource": "arn:*/key"}, False),
        ({"Action": "s3:*", "Resource": ["arn:aws:s3:::other/*", OBJECT]}, True),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::bucket/*"}, False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/${aws:username}"}, False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/${aws:none, 'key'}"}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/${aws:none}"}, False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/${*}"}, False),
        ({"Effect": "Deny", "Action": "s3:*"}, False),
    ],
)
def test_statements(statement: dict[str, Any], allowed: bool) -> None:
    assert is_allowed(statement, Access("s3:GetObject", OBJECT)) is allowed


def test_variables_have_the_value_of_the_caller() -> None:
    own = {"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/${aws:username}/*"}
    assert is_allowed(own, Access("s3:GetObject", "arn:aws:s3:::bucket/anna/key"))
    assert not is_allowed(own, Access("s3:GetObject", "arn:aws:s3:::bucket/bert/key"))


def test_an_action_without_resources_needs_a_star() -> None:
    action = "ecr:GetAuthorizationToken"
    assert is_allowed({"Action": action}, Access(action))
    assert not is_allowed(
        {"Action": action, "Resource": "arn:aws:ecr:us-east-1:123456789012:repository/*"}, Access(action)
    )


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"s3:prefix": "models"}}, True),
        ({"StringEquals": {"S3:Prefix": ["other", "models"]}}, True),
        ({"StringEquals": {"s3:prefix": "Models"}}, False),
        ({"StringEqualsIgnoreCase": {"s3:prefix": "MODELS"}}, True),
        ({"StringNotEquals": {"s3:prefix": ["models", "other"]}}, False),
        ({"StringNotEquals": {"s3:prefix": "other"}}, True),
        ({"StringNotEquals": {"s3:none": "other"}}, True),
        ({"StringLike": {"s3:prefix": "mod*"}}, True),
        ({"StringNotLike": {"s3:prefix": "mod*"}}, False),
        ({"StringLike": {"s3:none": "*"}}, False),
        ({"StringLikeIfExists": {"s3:none": "x"}}, True),
        ({"StringEquals": {"aws:username": "anna"}}, True),
        ({"StringEquals": {"s3:prefix": "models", "aws:username": "bert"}}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
        ({"NumericLessThan": {"s3:max-keys": 10}}, False),
        ({"NumericEquals": {"s3:prefix": 1}}, False),
        ({"DateGreaterThan": {"aws:currenttime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:currenttime": "2020-01-01T00:00:00Z"}}, False),
        ({"Bool": {"aws:securetransport": True}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Null": {"s3:none": "true"}}, True),
        ({"Null": {"s3:prefix": "true"}}, False),
        ({"IpAddress": {"aws:sourceip": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:sourceip": "127.0.0.0/8"}}, False),
        ({"ArnLike": {"aws:sourcearn": "arn:aws:ecs:*:123456789012:*"}}, True),
        ({"ArnEquals": {"aws:sourcearn": "arn:aws:sqs:*:123456789012:*"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:tagkeys": ["a", "z"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:tagkeys": ["a", "z"]}}, False),
        ({"ForAllValues:StringEquals": {"aws:tagkeys": ["a", "b", "c"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:none": "a"}}, True),
        ({"ForAnyValue:StringEquals": {"aws:none": "a"}}, False),
        ({"StringSounds": {"s3:prefix": "models"}}, False),
    ],
)
def test_conditions(condition: dict[str, Any], allowed: bool) -> None:
    context = {
        "s3:prefix": ("models",),
        "s3:max-keys": ("10",),
        "aws:currenttime": ("2026-01-01T00:00:00Z",),
        "aws:securetransport": ("true",),
        "aws:sourceip": ("127.0.0.1",),
        "aws:sourcearn": ("arn:aws:ecs:us-east-1:123456789012:task/x",),
        "aws:tagkeys": ("a", "b"),
    }
    access = Access("s3:ListBucket", "arn:aws:s3:::bucket", context)
    assert is_allowed({"Action": "s3:ListBucket", "Condition": condition}, access) is allowed


ALLOW, DENY, OTHER = {"Action": "s3:*"}, {"Effect": "Deny", "Action": "s3:GetObject"}, {"Action": "sqs:*"}
GET = Access("s3:GetObject", OBJECT)


def test_the_message_is_that_of_aws() -> None:
    named = f'User: {SESSION} is not authorized to perform: s3:GetObject on resource: "{OBJECT}" '
    assert refusal(principal(), GET) == named + "because no identity-based policy allows the s3:GetObject action"
    denied = refusal(principal(policy(ALLOW, DENY)), GET)
    assert denied == named + "with an explicit deny in an identity-based policy"
    bounded = refusal(principal(policy(ALLOW), boundary=policy(OTHER)), GET)
    assert bounded == named + "because no permissions boundary allows the s3:GetObject action"
    narrowed = refusal(principal(policy(ALLOW), session=policy(OTHER)), GET)
    assert narrowed == named + "because no session policy allows the s3:GetObject action"


@pytest.mark.parametrize("named", ["*", {"AWS": "*"}, {"AWS": ROLE}, {"AWS": [SESSION]}])
def test_the_resource_may_allow_who_is_named(named: Any) -> None:
    bucket = policy({**ALLOW, "Principal": named})
    assert refusal(principal(), GET, [bucket]) is None
    assert refusal(principal(policy(DENY)), GET, [bucket])


@pytest.mark.parametrize("named", ["*", {"AWS": "123456789012"}, {"AWS": "arn:aws:iam::123456789012:root"}])
def test_the_resource_may_deny_everybody(named: Any) -> None:
    assert refusal(principal(policy(ALLOW)), GET, [policy({**DENY, "Principal": named})])


def test_to_name_the_account_allows_nobody_yet() -> None:
    account = policy({**ALLOW, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}})
    assert refusal(principal(), GET, [account])
    assert refusal(principal(policy(ALLOW)), GET, [account]) is None


def test_who_may_take_a_role() -> None:
    def trust(named: Any, **more: Any) -> dict[str, Any]:
        return {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": named, **more}}

    take = Access("sts:AssumeRole")
    assert trusts(trust({"AWS": "arn:aws:iam::123456789012:root"}), principal(), take)
    assert trusts(trust({"AWS": ROLE}), principal(), take)
    assert not trusts(trust({"AWS": "arn:aws:iam::123456789012:role/other"}), principal(), take)
    ecs = trust({"Service": "ecs-tasks.amazonaws.com"}, Condition={"StringEquals": {"aws:SourceAccount": "1"}})
    assert trusts_service(ecs, "ecs-tasks.amazonaws.com", {"aws:sourceaccount": ("1",)})
    assert not trusts_service(ecs, "ecs-tasks.amazonaws.com", {"aws:sourceaccount": ("2",)})
    assert not trusts_service(ecs, "ec2.amazonaws.com", {"aws:sourceaccount": ("1",)})


STATEMENTS = st.lists(st.sampled_from([ALLOW, DENY, OTHER]), max_size=4)


@given(identity=st.lists(STATEMENTS, max_size=3), boundary=st.none() | STATEMENTS, session=st.none() | STATEMENTS)
def test_allowed_is_what_all_allow_and_none_denies(
    identity: list[list[dict[str, Any]]],
    boundary: list[dict[str, Any]] | None,
    session: list[dict[str, Any]] | None,
) -> None:
    layers = [list(chain(*identity)), *(one for one in (boundary, session) if one is not None)]
    expected = all(ALLOW in layer and DENY not in layer for layer in layers)
    who = principal(
        *(policy(*statements) for statements in identity),
        boundary=policy(*boundary) if boundary is not None else None,
        session=policy(*session) if session is not None else None,
    )
    assert (refusal(who, GET) is None) is expected


@given(st.data())
def test_more_denies_never_allow_more(data: st.DataObject) -> None:
    effects = st.sampled_from(["Allow", "Deny"])
    patterns = ["s3:*", "s3:Get*", "*", "sqs:*"]
    statements = data.draw(
        st.lists(st.builds(lambda e, a: {"Effect": e, "Action": a}, effects, st.sampled_from(patterns)))
    )
    allowed = {
        frozenset(chosen): refusal(principal(policy(*(statements[i] for i in chosen))), GET) is None
        for size in range(min(len(statements), 4) + 1)
        for chosen in combinations(range(len(statements)), size)
    }
    for chosen, result in allowed.items():
        for number in chosen:
            if statements[number]["Effect"] == "Deny":
                assert not result or allowed[chosen - {number}]
