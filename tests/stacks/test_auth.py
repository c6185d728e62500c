"""Who may send requests: what API keys and tokens (``networking.auth``) make of templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cortex_cdk.synthesis.specs import StackSpec
from tests.stacks.matrix import JWT, api_spec, splitter_spec
from tests.stacks.synthesized import template_of

VALIDATION = {
    "Type": "jwt-validation",
    "Order": 1,
    "JwtValidationConfig": {
        "Issuer": JWT["issuer"],
        "JwksEndpoint": JWT["jwks"],
        "AdditionalClaims": [
            {"Name": "aud", "Format": "single-string", "Values": ["models"]},
            {"Name": "scope", "Format": "space-separated-values", "Values": ["predict", "read"]},
            {"Name": "groups", "Format": "string-array", "Values": ["a", "b"]},
        ],
    },
}


def template(folder: Path, spec: StackSpec) -> dict[str, Any]:
    return dict(template_of(spec, folder).to_json())


def of_type(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["Properties"] for one in made["Resources"].values() if one["Type"] == kind]


def actions(made: dict[str, Any]) -> list[dict[str, Any]]:
    [rule] = of_type(made, "AWS::ElasticLoadBalancingV2::ListenerRule")
    return list(rule["Actions"])


def environment(made: dict[str, Any]) -> dict[str, Any]:
    [task] = of_type(made, "AWS::ECS::TaskDefinition")
    return {one["Name"]: one["Value"] for one in task["ContainerDefinitions"][0]["Environment"]}


def test_tokens_are_validated_before_a_request_is_forwarded(tmp_path: Path) -> None:
    made = template(tmp_path, api_spec("tokens", "tls"))
    validation, forward = actions(made)
    assert validation == VALIDATION
    assert (forward["Type"], forward["Order"]) == ("forward", 2)
    assert json.loads(made["Outputs"]["Auth"]["Value"])["issuer"] == JWT["issuer"]
    assert "CORTEX_KEYS" not in environment(made)


def test_a_splitter_validates_tokens_by_itself(tmp_path: Path) -> None:
    made = template(tmp_path, splitter_spec("two", "tls", networking={"auth": {"jwt": JWT}}))
    validation, forward = actions(made)
    assert validation == VALIDATION
    assert (forward["Order"], len(forward["ForwardConfig"]["TargetGroups"])) == (2, 2)


def test_replicas_that_ask_for_keys_may_read_them_and_no_other_object(tmp_path: Path) -> None:
    made = template(tmp_path, api_spec("keys"))
    bucket = api_spec("keys").cluster.bucket
    assert environment(made)["CORTEX_KEYS"] == f"s3://{bucket}/access/keys.json"
    # The specification is joined with the parameter of the endpoint.
    spec = "".join(part for part in environment(made)["CORTEX_SPEC"]["Fn::Join"][1] if isinstance(part, str))
    assert '"networking":{"auth":"api_key","cors":["https://app.example.com"]}' in spec
    assert made["Outputs"]["Auth"]["Value"] == "api_key"
    statements = json.dumps(of_type(made, "AWS::IAM::Policy"))
    assert f"{bucket}/access/keys.json" in statements
    assert "access/*" not in statements
    assert [action["Type"] for action in actions(made)] == ["forward"]


def test_other_apis_have_nothing_of_it(tmp_path: Path) -> None:
    made = template(tmp_path, api_spec("plain"))
    assert "access/keys.json" not in json.dumps(made)
    assert "Auth" not in made["Outputs"]
    assert "networking" not in json.dumps(environment(made)["CORTEX_SPEC"])
