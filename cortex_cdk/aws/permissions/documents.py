"""Turns permissions into IAM policies, as many as IAM's limit of characters asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from cortex_cdk import names
from cortex_cdk.aws.permissions.calls import CALLS, PARAMETERS_OF_AWS
from cortex_cdk.aws.permissions.grant import CLUSTER, GENERATED, Grant, Scope, generated_prefix
from cortex_cdk.aws.permissions.resource_types import RESOURCE_TYPES, ROLES

Purpose = Literal["cluster", "deploy", "cloudformation"]
PURPOSES: Mapping[Purpose, str] = {
    "cluster": "to make, change and remove the cluster, and to deploy to it",
    "deploy": "to deploy APIs to the cluster, and to read and delete them",
    "cloudformation": "of the role that CloudFormation takes (cloudformation_role in cluster.yaml)",
}
"""Who gets a policy, in words."""
MOST_CHARACTERS = 6144
"""Characters in a managed policy, without white space ("IAM and AWS STS quotas", IAM User Guide)."""
UNKNOWN_ACCOUNT = "*"
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
_NEEDS_BOUNDARY = frozenset({"iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy"})
_LIFTS_BOUNDARY = "iam:DeleteRolePermissionsBoundary"


@dataclass(frozen=True)
class Subject:
    """Whose cluster a policy is for, and what its configuration says about permissions.

    Attributes:
        cluster: The cluster's name.
        region: Its region.
        account: Its account; None where that is not known.
        boundary: ARN of the policy that bounds every role of the cluster, if there is one.
        service_role: ARN of the role that CloudFormation takes, if there is one.
        types: The types of resources in the cluster's stack; None for all that a cluster may have.
    """

    cluster: str
    region: str
    account: str | None = None
    boundary: str | None = None
    service_role: str | None = None
    types: frozenset[str] | None = None


@dataclass(frozen=True)
class Policy:
    """One IAM policy.

    Attributes:
        name: What to call it.
        document: The policy's JSON.
        grants: What it allows, with the reasons.
    """

    name: str
    document: Mapping[str, Any]
    grants: tuple[Grant, ...]

    @property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        """The actions by the reason for them."""
        found: dict[str, dict[str, None]] = {}
        for grant in self.grants:
            found.setdefault(grant.why, {}).update(dict.fromkeys(grant.actions))
        return {why: tuple(actions) for why, actions in found.items()}


def policies(subject: Subject, purpose: Purpose) -> tuple[Policy, ...]:
    """Write the smallest policies for somebody who uses a cluster.

    Args:
        subject: The cluster.
        purpose: What they do with the cluster.

    Returns:
        One policy or more, each within ``MOST_CHARACTERS``. All of them together are needed.
    """
    return _documents(subject, names.deployer_policy(subject.cluster, purpose), _grants(subject, purpose))


def _grants(subject: Subject, purpose: Purpose) -> list[Grant]:
    resources = _with_boundary(subject, _resources(subject, purpose))
    if purpose == "cloudformation":
        # CloudFormation asks for them with the role that it takes.
        return [*resources, *(grant for grant in CALLS if grant.scope is PARAMETERS_OF_AWS)]
    calls = [grant for grant in CALLS if grant.deploys or purpose == "cluster"]
    if subject.service_role is None:
        return [*calls, *resources]
    role = Scope(
        "ServiceRole",
        (subject.service_role,),
        {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
    )
    return [*calls, Grant("CloudFormation takes its own role", ("iam:PassRole",), role, is_implied=True)]


def _resources(subject: Subject, purpose: Purpose) -> list[Grant]:
    return [
        grant
        for name, grants in RESOURCE_TYPES.items()
        for grant in grants
        if grant.deploys or (purpose != "deploy" and (subject.types is None or name in subject.types))
    ]


def _with_boundary(subject: Subject, grants: Iterable[Grant]) -> list[Grant]:
    """Allow what gives roles permissions only for roles that have the boundary ("Permissions boundaries", IAM)."""
    found = list(grants)
    if subject.boundary is None:
        return found
    bound = Scope("BoundRoles", ROLES.arns, {"StringEquals": {"iam:PermissionsBoundary": subject.boundary}})
    split = []
    for grant in found:
        giving = tuple(action for action in grant.actions if action in _NEEDS_BOUNDARY)
        rest = tuple(action for action in grant.actions if action not in {*giving, _LIFTS_BOUNDARY})
        split += [Grant(grant.why, rest, grant.scope, deploys=grant.deploys)] if rest else []
        split += [Grant(grant.why, giving, bound, deploys=grant.deploys)] if giving else []
    return [*split, Grant("roles get the boundary", ("iam:PutRolePermissionsBoundary",), bound)]


def _documents(subject: Subject, name: str, grants: Sequence[Grant]) -> tuple[Policy, ...]:
    filled = [_filled(grant, subject) for grant in grants]
    actions = _actions_by_scope(filled)
    parts: list[list[Scope]] = [[]]
    for scope in actions:
        if parts[-1] and _size([(one, actions[one]) for one in (*parts[-1], scope)]) > MOST_CHARACTERS:
            parts.append([])
        parts[-1].append(scope)
    return tuple(
        Policy(
            name if len(parts) == 1 else f"{name}-{number}",
            _document([(scope, actions[scope]) for scope in part]),
            tuple(grant for grant in filled if grant.scope in part),
        )
        for number, part in enumerate(parts, start=1)
    )


def _filled(grant: Grant, subject: Subject) -> Grant:
    """Put the cluster's name, region and account into the patterns of a permission."""
    values = {
        "{partition}": partition(subject.region),
        "{region}": subject.region,
        "{account}": subject.account or UNKNOWN_ACCOUNT,
        CLUSTER: subject.cluster,
        GENERATED: generated_prefix(subject.cluster),
    }

    def fill(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [fill(one) for one in value]
        for placeholder, text in values.items():
            value = value.replace(placeholder, text)
        return value

    scope = grant.scope
    return replace(
        grant, scope=Scope(scope.name, tuple(fill(pattern) for pattern in scope.arns), fill(scope.conditions))
    )


def partition(region: str) -> str:
    """Return the partition of a region, as ARNs have it."""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")


def _actions_by_scope(grants: Iterable[Grant]) -> dict[Scope, tuple[str, ...]]:
    """Collect the actions of each scope; what is allowed on everything is not allowed again on less."""
    found: dict[Scope, set[str]] = {}
    for grant in grants:
        found.setdefault(grant.scope, set()).update(grant.actions)
    anything = {scope: actions for scope, actions in found.items() if scope.arns == ("*",) and not scope.conditions}
    kept = {}
    for scope, actions in found.items():
        wider = {one for other, allowed in anything.items() if other is not scope for one in allowed}
        wider |= {one for one in actions if "*" in one}
        left = {action for action in actions if not any(_covers(one, action) for one in wider)}
        if left:
            kept[scope] = tuple(sorted(left))
    return kept


def _covers(pattern: str, action: str) -> bool:
    """Whether a pattern allows an action. A pattern does not make itself needless."""
    return fnmatchcase(action, pattern) and (pattern != action or "*" not in pattern)


def _document(statements: Iterable[tuple[Scope, Sequence[str]]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [_statement(scope, actions) for scope, actions in statements]}


def _statement(scope: Scope, actions: Sequence[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": scope.name,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": scope.arns[0] if len(scope.arns) == 1 else list(scope.arns),
    }
    return {**statement, "Condition": scope.conditions} if scope.conditions else statement


def _size(statements: Iterable[tuple[Scope, Sequence[str]]]) -> int:
    return characters(_document(statements))


def characters(document: Mapping[str, Any]) -> int:
    """Count the characters of a policy as IAM does: without white space."""
    return len(json.dumps(document, separators=(",", ":")))
