"""Why CloudFormation refused a change set.

What early validation finds (a name that is taken, a property that does not exist) is not in the change set's reason,
which only points to DescribeEvents: "Validate stack deployments" (CloudFormation User Guide). Asked for every failed
change set, as the CDK's toolkit does (aws-cdk-cli pull request 1461).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.resource_words import in_words, without_ids

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import OperationEventTypeDef

NAME_CONFLICT = "NAME_CONFLICT_VALIDATION"
_TAKEN = "delete what has that name if nobody needs it any more, and try again"


def refusal(cloud: Cloud, stack: str, change_set: str, reason: str) -> DeployError:
    """The error that says which resources of a change set were refused, and why.

    Args:
        stack: The stack's name.
        change_set: The change set's ARN.
        reason: The change set's own reason.
    """
    from botocore.exceptions import ClientError

    try:
        pages = cloud.cloudformation.get_paginator("describe_events").paginate(
            ChangeSetName=change_set, Filters={"FailedEvents": True}
        )
        events = [event for page in pages for event in page["OperationEvents"] if _refuses(event)]
    except ClientError as error:
        return DeployError(
            f"{stack}: CloudFormation refuses the change: {reason}",
            hint=f"which resource it is could not be read ({error_code(error)}): allow cloudformation:DescribeEvents",
        )
    if not events:
        return DeployError(f"{stack}: CloudFormation refuses the change: {reason}")
    first, *more = map(_in_words, events)
    taken = any(event.get("ValidationName") == NAME_CONFLICT for event in events)
    return DeployError(f"{stack}: {first}", details=more, hint=_TAKEN if taken else None)


def _in_words(event: OperationEventTypeDef) -> str:
    where = event.get("ValidationPath", "").removeprefix(f"/Resources/{event.get('LogicalResourceId', '')}")
    what = in_words(event.get("LogicalResourceId", ""), event.get("ResourceType", ""))
    return f"{what}: {without_ids(event.get('ValidationStatusReason', ''))}" + (f" (at {where})" if where else "")


def _refuses(event: OperationEventTypeDef) -> bool:
    return "ValidationStatusReason" in event and event.get("ValidationFailureMode") != "WARN"
