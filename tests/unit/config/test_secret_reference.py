"""References to secrets: the forms that users write, and what ECS gets of them."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.config.sections.secret_reference import SecretReference, secret_name
from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import LoadText

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"
API = "- name: a\n  kind: RealtimeAPI\n  predictor:\n    type: python\n    path: predictor.py\n"


@pytest.mark.parametrize(
    ("written", "normal", "value_from"),
    [
        ("my-secret", "my-secret", "ARN"),
        ({"secret": "my-secret"}, "my-secret", "ARN"),
        ("prod/db:password", "prod/db:password", "ARN:password::"),
        ({"secret": "prod/db", "key": "password"}, "prod/db:password", "ARN:password::"),
        ({"secret": ARN, "key": "password"}, f"{ARN}:password", "ARN:password::"),
        (ARN, ARN, "ARN"),
        (f"{ARN}:password::", f"{ARN}:password", "ARN:password::"),
        (f"{ARN}:password:AWSPREVIOUS:", f"{ARN}:password:AWSPREVIOUS:", "ARN:password:AWSPREVIOUS:"),
        (f"{ARN}:::{'a' * 32}", f"{ARN}:::{'a' * 32}", f"ARN:::{'a' * 32}"),
        ("ssm:/models/token", "ssm:/models/token", "ARN"),
        ("ssm:flat", "ssm:flat", "ARN"),
        ({"parameter": "/models/token"}, "ssm:/models/token", "ARN"),
        ("arn:aws:ssm:us-east-1:123456789012:parameter/a", "arn:aws:ssm:us-east-1:123456789012:parameter/a", "ARN"),
    ],
)
def test_every_form_means_one_thing(written: Any, normal: str, value_from: str) -> None:
    reference = SecretReference.of(written)
    assert str(reference) == normal
    assert SecretReference.of(normal) == reference
    assert reference.value_from("ARN") == value_from


WRONG: tuple[Any, ...] = (
    *("", "a b", "a:", ":a", "a:b:c", "ssm:", "ssm:a b", f"{ARN}:a:b:c:d", "arn:aws:s3:::bucket", 5, None, [], {}),
    *({"secret": "a", "key": ""}, {"parameter": "/a", "key": "b"}, {"secret": "a", "parameter": "b"}, {"name": "a"}),
)


@pytest.mark.parametrize("written", WRONG)
def test_everything_else_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"not|neither|more"):
        SecretReference.of(written)


def test_the_name_in_an_arn() -> None:
    assert secret_name(ARN) == secret_name(f"{ARN}:key::") == "prod/db"
    assert secret_name("arn:aws:ssm:us-east-1:123456789012:parameter/a/b") == "/a/b"


@pytest.mark.parametrize("name", ["CORTEX_API", "AWS_SECRET_ACCESS_KEY", "1A", "A-B", "A B", "''"])
def test_names_that_are_reserved_or_none_are_refused(load_text: LoadText, name: str) -> None:
    with pytest.raises(ConfigError, match="not starting with CORTEX_ or AWS_"):
        load_text(f"{API}    secrets: {{{name}: my-secret}}\n")


def test_a_variable_has_one_value(load_text: LoadText) -> None:
    with pytest.raises(ConfigError, match=r":7:.*predictor\.secrets\.A: is in env, too"):
        load_text(f"{API}    env: {{A: '1'}}\n    secrets: {{A: my-secret, B: other}}\n")


def test_what_takes_more_room_than_the_permissions_have_is_refused(load_text: LoadText) -> None:
    secrets = ", ".join(f"A{number}: {'x' * 60}{number}" for number in range(50))
    with pytest.raises(ConfigError, match=r"names secrets that take .* IAM has room for 8,500 \(put several values"):
        load_text(f"{API}    secrets: {{{secrets}}}\n")
