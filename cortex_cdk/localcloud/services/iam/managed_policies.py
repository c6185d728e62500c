"""AWS's own managed policies, each loaded when it is first named. moto would load all of them, a thousand, or none."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from moto.iam.models import AWSManagedPolicy, IAMBackend

NAMING = ("attach_group_policy", "attach_role_policy", "attach_user_policy", "get_policy", "get_policy_version")
"""Methods whose first argument is the ARN of a policy."""


def know(iam: Any, arn: str) -> None:
    """Load a policy of AWS, unless it is loaded or there is no such policy."""
    if arn in iam.managed_policies or ":iam::aws:" not in arn:
        return
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    name = arn.rsplit("/", 1)[-1]
    data = json.loads(aws_managed_policies_data).get(name)
    if data:
        policy = AWSManagedPolicy.from_data(name, iam.account_id, iam.region_name, data)
        if policy.arn == arn:
            iam.managed_policies[arn] = policy


def install() -> None:
    """Let moto's IAM know AWS's policies. More calls change nothing."""
    for name in NAMING:
        method = getattr(IAMBackend, name)
        if not hasattr(method, "__wrapped__"):
            setattr(IAMBackend, name, _knowing(method))


def _knowing(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def knowing(self: IAMBackend, policy_arn: str, *rest: Any, **named: Any) -> Any:
        know(self, policy_arn)
        return method(self, policy_arn, *rest, **named)

    return knowing
