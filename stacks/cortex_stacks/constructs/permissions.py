"""Permissions of roles, and the record of why one of them is as wide as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Record why a finding of cdk-nag on this construct (and below it) is accepted."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def allow(
    role: iam.Role,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    because: str | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """Let a role do something.

    Args:
        resources: ARNs.
        because: Why ARNs with a wildcard are no narrower; without it cdk-nag reports them.
    """
    role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions))
    for resource in resources:
        if because and "*" in resource:
            acknowledge_wildcard(role, resource, because)


def acknowledge_wildcard(role: iam.Role, resource: str, reason: str) -> None:
    """Record why a role has permissions on an ARN with a wildcard."""
    shown = _as_text(cdk.Stack.of(role).resolve(resource))
    acknowledge(role, f"AwsSolutions-IAM5[Resource::{shown}]", reason)


def _as_text(value: Any) -> str:
    """An ARN as cdk-nag shows it: references in angle brackets."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_as_text, parts))
    return str(value)
