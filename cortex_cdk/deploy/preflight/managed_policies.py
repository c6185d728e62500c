"""Whether the managed policies exist that ``predictor.iam_policies`` names. Without one, IAM makes no role."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_managed_policies(deployment: Deployment) -> Iterator[Finding]:
    """Say which managed policies cannot be attached to the role of an API's replicas."""
    named = {
        (api.name, policy)
        for api in deployment.wanted.config.apis
        for policy in api.predictor.iam_policies
        if isinstance(policy, str)
    }
    problems = {arn: _problem(deployment.cloud, arn) for arn in sorted({arn for _, arn in named})}
    for name, arn in sorted(named):
        if problem := problems[arn]:
            yield Finding(
                name, f"predictor.iam_policies: {arn} {problem}", "list what there is with: aws iam list-policies"
            )


def _problem(cloud: Cloud, arn: str) -> str | None:
    """Return what is wrong with a policy, or None.

    Source: GetPolicy and ``IsAttachable`` (IAM API Reference); policies of service-linked roles cannot be attached.
    """
    from botocore.exceptions import ClientError

    try:
        policy = cloud.iam.get_policy(PolicyArn=arn)["Policy"]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return "does not exist"
        raise
    return None if policy.get("IsAttachable", True) else "cannot be attached to a role"
