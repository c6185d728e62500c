"""Secrets in an API's template: names and ARNs, and permissions for these and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.stacks.matrix import api_spec
from tests.stacks.synthesized import template_of

HERE = "arn:AWS::Partition:{}:AWS::Region:AWS::AccountId:"
ELSEWHERE = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shared-AbCdEf"
KNOWN = "arn:aws:secretsmanager:us-east-1:111111111111:secret:my-secret-AbCdEf"


def made(folder: Path, **changes: Any) -> Template:
    spec = api_spec("secrets", **changes).model_copy(update={"secret_arns": {"my-secret": KNOWN}})
    return template_of(spec, folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return made(tmp_path_factory.mktemp("cdk.out"))


def text(value: Any) -> Any:
    """A value of a template, with joins and references as text."""
    match value:
        case {"Ref": name}:
            return name
        case {"Fn::Join": [separator, parts]}:
            return separator.join(map(text, parts))
        case list():
            return [text(item) for item in value]
    return value


def statements(template: Template, role: str) -> list[dict[str, Any]]:
    """The statements of the policies of the roles with a name like this."""
    policies = template.find_resources("AWS::IAM::Policy").values()
    return [
        statement
        for policy in policies
        if role in json.dumps(policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def test_the_container_names_where_its_values_come_from(template: Template) -> None:
    (definition,) = template.find_resources("AWS::ECS::TaskDefinition").values()
    (container,) = definition["Properties"]["ContainerDefinitions"]
    passed = {secret["Name"]: text(secret["ValueFrom"]) for secret in container["Secrets"]}
    secrets = HERE.format("secretsmanager")
    assert passed == {
        "TOKEN": KNOWN,
        "PASSWORD": f"{secrets}secret:prod/db:password::",
        "USER": f"{secrets}secret:prod/db:user::",
        "PARAMETER": f"{HERE.format('ssm')}parameter/models/token",
        "ELSEWHERE": f"{ELSEWHERE}:key:AWSPREVIOUS:",
    }
    assert not passed.keys() & {variable["Name"] for variable in container["Environment"]}


def test_only_the_execution_role_may_read_them_and_nothing_else(template: Template) -> None:
    allowed: dict[str, list[Any]] = {
        action: [] for action in ("secretsmanager:GetSecretValue", "ssm:GetParameters", "kms:Decrypt")
    }
    for statement in statements(template, "ExecutionRole"):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for action in actions:
            if not action.startswith("ecr:"):
                allowed[action].append(statement)
    (read,) = allowed["secretsmanager:GetSecretValue"]
    assert text(read["Resource"]) == [ELSEWHERE, KNOWN, f"{HERE.format('secretsmanager')}secret:prod/db-??????"]
    (parameters,) = allowed["ssm:GetParameters"]
    assert text(parameters["Resource"]) == f"{HERE.format('ssm')}parameter/models/token"
    assert len(allowed["kms:Decrypt"]) == 3
    for decrypt in allowed["kms:Decrypt"]:
        assert decrypt["Condition"]["StringEquals"].keys() == {"kms:ViaService"}
        (named,) = decrypt["Condition"]["StringLike"].values()
        assert named
    task_role = json.dumps(statements(template, "TaskRole"))
    assert "secretsmanager" not in task_role
    assert "kms" not in task_role


def test_a_secret_takes_the_place_of_a_variable_that_replicas_get_anyway(tmp_path: Path) -> None:
    """ECS refuses a name that is in both."""
    predictor = {"type": "python", "path": "predictor.py", "secrets": {"OMP_NUM_THREADS": "threads"}}
    (definition,) = made(tmp_path, predictor=predictor).find_resources("AWS::ECS::TaskDefinition").values()
    (container,) = definition["Properties"]["ContainerDefinitions"]
    assert "OMP_NUM_THREADS" not in {variable["Name"] for variable in container["Environment"]}


def test_an_api_without_secrets_may_read_none(tmp_path: Path) -> None:
    template = template_of(api_spec("plain"), tmp_path)
    assert "secretsmanager" not in json.dumps(template.to_json())
