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
    holder: iam.Role | iam.Policy,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    because: str | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """Allow actions on resources.

    Args:
        holder: A role, or a policy.
        actions: Such as ``s3:GetObject``.
        resources: ARNs.
        because: Why ARNs with a wildcard are no narrower; cdk-nag reports those without a reason.
        conditions: The statement's conditions, by operator.
    """
    statement = iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
    if isinstance(holder, iam.Policy):
        holder.add_statements(statement)
    else:
        holder.add_to_policy(statement)
    for resource in resources:
        if because and "*" in resource:
            acknowledge_wildcard(holder, resource, because)


def acknowledge_wildcard(holder: Construct, resource: str, reason: str) -> None:
    """Accept that a role or policy has permissions on an ARN with a wildcard, for a reason."""
    shown = _as_text(cdk.Stack.of(holder).resolve(resource))
    acknowledge(holder, f"AwsSolutions-IAM5[Resource::{shown}]", reason)


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
