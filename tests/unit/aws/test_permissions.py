"""The IAM policies that ``cortex cluster policy`` writes, and the table that they are made from."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.session import Session

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.permissions.calls import CALLS, FREE
from cortex_cdk.aws.permissions.documents import MOST_CHARACTERS, PURPOSES, Purpose, Subject, characters, policies
from cortex_cdk.aws.permissions.resource_types import RESOURCE_TYPES
from tests.aws_calls import action_of
from tests.conftest import ROOT, Cortex

LIBRARY = ROOT / "cortex_cdk"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
ROLE = "arn:aws:iam::123456789012:role/cloudformation"
SUBJECTS = [
    Subject("prod", "eu-west-1", "123456789012"),
    Subject("a-name-of-24-characters0", "ap-southeast-2", "123456789012", boundary=BOUNDARY),
    Subject("prod", "us-gov-west-1", service_role=ROLE, boundary=BOUNDARY),
]
CLIENTS = [name for name, attribute in vars(Cloud).items() if isinstance(attribute, cached_property)]


@pytest.fixture
def cortex(tmp_path: Path) -> Cortex:
    cortex = Cortex(tmp_path / "home")
    cortex.ok("env", "configure", "prod", "--region", "eu-west-1", "--cluster", "prod")
    # Nobody answers there, and nobody has to.
    cortex.environ.update({"AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true"})
    return cortex


def statements(documents: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for document in documents.values() for statement in document["Statement"]]


def actions(documents: dict[str, Any]) -> set[str]:
    return {action for statement in statements(documents) for action in statement["Action"]}


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.region)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_policies_are_what_iam_takes(subject: Subject, purpose: Purpose) -> None:
    for policy in policies(subject, purpose):
        assert characters(policy.document) <= MOST_CHARACTERS
        assert re.fullmatch(r"[\w+=,.@-]{1,128}", policy.name)
        assert policy.document["Version"] == "2012-10-17"
        sids = [statement["Sid"] for statement in policy.document["Statement"]]
        assert len(set(sids)) == len(sids)
        assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)
        assert "{" not in json.dumps([statement["Resource"] for statement in policy.document["Statement"]])


@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_what_reads_or_cannot_be_narrowed_is_allowed_on_everything(purpose: Purpose) -> None:
    """Exceptions: actions without resources of their own in the Service Authorization Reference."""
    unbound = {
        "ecs:CreateCapacityProvider",
        "ecs:CreateCluster",
        "ecs:RegisterTaskDefinition",
        "ecs:DeregisterTaskDefinition",
    }
    for statement in statements({p.name: p.document for p in policies(SUBJECTS[0], purpose)}):
        for action in statement["Action"] if statement["Resource"] == "*" else ():
            assert action in unbound or re.search(r":(Describe|List|Get)", action), action
        for arn in [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]:
            # Neither region nor account: hosted zones (Service Authorization Reference, Route 53), policies of AWS.
            is_global = arn in ("arn:aws:route53:::hostedzone/*", "arn:aws:iam::aws:policy/*")
            assert is_global or arn == "*" or "prod" in arn or ":123456789012:" in arn or ":eu-west-1::" in arn


def test_whoever_deploys_may_not_change_the_cluster() -> None:
    deploys, makes = (
        actions({p.name: p.document for p in policies(SUBJECTS[0], purpose)}) for purpose in ("deploy", "cluster")
    )
    assert all(any(fnmatchcase(action, allowed) for allowed in makes) for action in deploys)
    changes = {one for one in deploys if one.startswith(("ec2:", "autoscaling:", "s3:", "codebuild:Create"))}
    assert changes == {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeVpcs",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    }


def test_with_a_boundary_roles_get_permissions_only_within_it() -> None:
    documents = {p.name: p.document for p in policies(SUBJECTS[1], "cluster")}
    assert "iam:DeleteRolePermissionsBoundary" not in actions(documents)
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"):
        [allowed] = [statement for statement in statements(documents) if action in statement["Action"]]
        assert allowed["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}


@pytest.mark.parametrize("purpose", ["cluster", "deploy"])
def test_with_a_role_for_cloudformation_the_user_needs_no_more_than_to_pass_it(purpose: Purpose) -> None:
    documents = {p.name: p.document for p in policies(SUBJECTS[2], purpose)}
    [passing] = [statement for statement in statements(documents) if "iam:PassRole" in statement["Action"]]
    assert (passing["Action"], passing["Resource"]) == (["iam:PassRole"], ROLE)
    assert {one for one in actions(documents) if one.startswith("iam:")} == {"iam:GetPolicy", "iam:PassRole"}
    of_role = actions({p.name: p.document for p in policies(SUBJECTS[2], "cloudformation")})
    assert {"ec2:CreateVpc", "ecs:CreateService", "iam:CreateRole", "ssm:GetParameters"} <= of_role


def test_the_command_prints_policies_of_the_environments_cluster(cortex: Cortex) -> None:
    documents = cortex.json("cluster", "policy", "--env", "prod", "--for", "deploy")
    assert all(name.startswith("cortex-prod-deploy") for name in documents)
    stacks = [s["Resource"] for s in statements(documents) if "cloudformation:ExecuteChangeSet" in s["Action"]]
    assert stacks == [
        [
            "arn:aws:cloudformation:eu-west-1:*:stack/cortex-prod-api-*/*",
            "arn:aws:cloudformation:eu-west-1:*:stack/cortex-prod-split-*/*",
            "arn:aws:cloudformation:eu-west-1:*:changeSet/cortex-*",
        ]
    ]
    both = cortex.run("cluster", "policy", "--env", "prod")
    assert {name.split("-")[2] for name in json.loads(both.stdout)} == {"cluster", "deploy"}
    assert "the account is not known" in both.stderr
    assert "deploy: build images: codebuild:StartBuild" in both.stderr


def test_a_cluster_file_fills_in_the_account_and_leaves_out_what_is_not_made(cortex: Cortex, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump({"account": "123456789012", "permissions_boundary": BOUNDARY}))
    documents = cortex.json("cluster", "policy", str(file), "--env", "prod", "--for", "cluster")
    assert "ec2:CreateNatGateway" not in actions(documents)
    assert "ec2:CreateVpc" in actions(documents)
    assert ":*:" not in json.dumps(documents).replace(":autoScalingGroup:*:", "")
    assert BOUNDARY in json.dumps(documents)
    folder = tmp_path / "policies"
    written = cortex.ok("cluster", "policy", str(file), "--env", "prod", "--for", "cluster", "--into", str(folder))
    assert {Path(line).stem: json.loads(Path(line).read_text()) for line in written.splitlines()} == documents


def test_the_file_of_another_cluster_is_refused(cortex: Cortex, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("{region: us-east-1}")
    done = cortex.run("cluster", "policy", str(tmp_path), "--env", "prod")
    assert done.returncode == 1
    assert "the file says region: us-east-1, and environment 'prod' has eu-west-1" in done.stderr


def calls_in(path: Path) -> Iterator[tuple[str, str]]:
    """The service and the operation of each call of a client in a file, as far as the code names the client."""
    clients: dict[str, str] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign):
            pairs = zip(
                *(part.elts if isinstance(part, ast.Tuple) else [part] for part in (node.targets[0], node.value)),
                strict=False,
            )
            clients |= {
                target.id: value.attr
                for target, value in pairs
                if isinstance(target, ast.Name) and isinstance(value, ast.Attribute) and value.attr in CLIENTS
            }
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, method = node.func.value, node.func.attr
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        service = clients.get(name, name)
        if service not in CLIENTS:
            continue
        if method == "get_paginator" and isinstance(node.args[0], ast.Constant):
            method = str(node.args[0].value)
        yield service.replace("_", "-"), method


def test_every_call_in_the_code_is_in_the_table_and_nothing_else_is() -> None:
    session, called = Session(), set(FREE)
    for path in LIBRARY.rglob("*.py"):
        if "localcloud" in path.parts or "permissions" in path.parts:
            continue
        for service, method in calls_in(path):
            model = session.get_service_model(service)
            operation = {name.lower(): name for name in model.operation_names}
            operation |= {"uploadfile": "PutObject"}
            plain = method.replace("_", "")
            if plain in operation:
                called.add(action_of(service, operation[plain]))
    known = {action for grant in CALLS if not grant.is_implied for action in grant.actions} | FREE
    assert called == known


def test_the_names_of_roles_begin_with_what_cloudformation_leaves_of_a_stacks_name() -> None:
    [roles] = [
        statement["Resource"]
        for statement in statements({p.name: p.document for p in policies(SUBJECTS[1], "deploy")})
        if "iam:GetRole" in statement["Action"]
    ]
    assert roles == "arn:aws:iam::123456789012:role/cortex-a-name-of-24-char*"
    assert names.api_stack("a-name-of-24-characters0", "x").startswith("cortex-a-name-of-24-char")


def test_every_type_has_what_makes_and_unmakes_it() -> None:
    for kind, grants in RESOURCE_TYPES.items():
        verbs = {action.split(":")[1] for grant in grants for action in grant.actions}
        assert any(
            re.match("Create|Put|Request|Change|Register|Allocate|Attach|Associate|Authorize", verb) for verb in verbs
        ), kind
        assert any(
            re.match("Delete|Deregister|Release|Detach|Disassociate|Revoke|Put|Change", verb) for verb in verbs
        ), kind
