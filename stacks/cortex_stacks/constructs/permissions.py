"""Permissions of roles, and the reasons for wide ones (findings of cdk-nag that are accepted)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Accept a finding of cdk-nag on a construct and the constructs below it.

    Args:
        rule: Id of the finding.
        reason: Why it is accepted.
    """
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def allow(
    role: iam.Role,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    because: str | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """Allow a role actions on resources.

    Args:
        role: The role.
        actions: Such as ``s3:GetObject``.
        resources: ARNs.
        because: Why ARNs with a wildcard are no narrower; cdk-nag reports those without a reason.
        conditions: The statement's conditions, by operator.
    """
    role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions))
    for resource in resources:
        if because and "*" in resource:
            acknowledge_wildcard(role, resource, because)


def acknowledge_wildcard(role: iam.Role, resource: str, reason: str) -> None:
    """Accept that a role has permissions on an ARN with a wildcard, for a reason."""
    shown = _as_text(cdk.Stack.of(role).resolve(resource))
    acknowledge(role, f"AwsSolutions-IAM5[Resource::{shown}]", reason)


def _as_text(value: Any) -> str:
    """Return an ARN as cdk-nag shows it: references in angle brackets."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_as_text, parts))
    return str(value)
