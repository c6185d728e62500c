"""Change sets: ask CloudFormation what a deployment would change, then execute or discard."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.aws.polling import pauses
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.resource_words import in_words
from cortex_cdk.stack_operations.validation import refusal

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ChangeTypeDef, DescribeChangeSetOutputTypeDef

# CloudFormation has no code for "nothing to do"; these are the texts that it answers with.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
# Nor for a stack that somebody else began to change, or made, since it was looked at.
_RACED = re.compile(
    r"_IN_PROGRESS state|already exists and cannot be created again|execution status|ChangeSet \[.*\] does not exist"
)
MOST_TEMPLATE_BYTES = 51_200
CAPABILITIES: Sequence[Any] = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")


@dataclass(frozen=True)
class Change:
    """One resource that a change set would touch.

    Attributes:
        action: ``Add``, ``Modify`` or ``Remove``.
        logical_id: The resource's id in the template.
        resource_type: Such as ``AWS::ECS::Service``.
        replacement: Whether the resource would be made anew (and the old one removed).
    """

    action: str
    logical_id: str
    resource_type: str
    replacement: bool

    @property
    def what(self) -> str:
        """The resource in words, such as ``service``."""
        return in_words(self.logical_id, self.resource_type)


@dataclass(frozen=True)
class ChangeSet:
    """A change set that is ready to be executed.

    Attributes:
        arn: The change set.
        stack_id: The stack that would be changed.
        changes: The resources that would be touched.
        creates: Whether the stack would be made.
    """

    arn: str
    stack_id: str
    changes: tuple[Change, ...]
    creates: bool


def create_change_set(
    cloud: Cloud,
    stack: str,
    *,
    template: Mapping[str, Any] | None,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    creates: bool,
    role: str | None = None,
) -> ChangeSet | None:
    """Ask CloudFormation what a deployment would change.

    Args:
        cloud: A session of the environment.
        stack: The stack's name.
        template: The template; None keeps the one that is deployed.
        parameters: Every parameter of the template.
        tags: The stack's tags.
        creates: Whether the stack is new. A creation that fails removes everything that it made.
        role: ARN of the role that CloudFormation takes from now on; None leaves that to the stack, which keeps the one
            that it was given last.

    Returns:
        The change set, or None where nothing would change.

    Raises:
        DeployError: CloudFormation refuses the template or the parameters, or another operation was quicker.
    """
    body: dict[str, Any] = {"UsePreviousTemplate": True} if template is None else {"TemplateBody": as_text(template)}
    if creates:
        body["OnStackFailure"] = "DELETE"
    with _alone(stack):
        answer = cloud.cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=names.change_set(time.time_ns()),
            ChangeSetType="CREATE" if creates else "UPDATE",
            Capabilities=CAPABILITIES,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            **taking(role),
            **body,
        )
    described = _wait_until_made(cloud, answer["Id"])
    if described["Status"] == "FAILED":
        reason = described.get("StatusReason", "no reason given")
        unchanged = any(text in reason for text in NO_CHANGES)
        error = None if unchanged else refusal(cloud, stack, answer["Id"], reason)
        discard(cloud, ChangeSet(answer["Id"], answer["StackId"], (), creates))
        if error:
            raise error
        return None
    changes = tuple(_change(change) for change in described["Changes"])
    return ChangeSet(answer["Id"], answer["StackId"], changes, creates)


def taking(role: str | None) -> dict[str, Any]:
    """The argument of a call that says which role CloudFormation takes; none leaves that to the stack."""
    return {"RoleARN": role} if role else {}


@contextmanager
def _alone(stack: str) -> Iterator[None]:
    """Say in words that another operation began on the stack since it was looked at."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if not _RACED.search(error_message(error)):
            raise
        raise DeployError(
            f"{stack} is being changed by another operation, which began at the same time",
            hint="wait until it has ended (cortex get), and deploy again",
        ) from error


def as_text(template: Mapping[str, Any]) -> str:
    """Write a template as it is sent: without white space, because ``MOST_TEMPLATE_BYTES`` is the limit."""
    return json.dumps(template, separators=(",", ":"))


def _wait_until_made(cloud: Cloud, arn: str) -> DescribeChangeSetOutputTypeDef:
    for pause in pauses():
        described = cloud.cloudformation.describe_change_set(ChangeSetName=arn)
        if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        time.sleep(pause)
    token = described.get("NextToken")
    while token:
        page = cloud.cloudformation.describe_change_set(ChangeSetName=arn, NextToken=token)
        described["Changes"].extend(page["Changes"])
        token = page.get("NextToken")
    return described


def _change(change: ChangeTypeDef) -> Change:
    resource = change["ResourceChange"]
    return Change(
        action=resource["Action"],
        logical_id=resource["LogicalResourceId"],
        resource_type=resource["ResourceType"],
        replacement=resource.get("Replacement") == "True",
    )


def execute(cloud: Cloud, change_set: ChangeSet) -> None:
    """Start what a change set says. The stack's events tell the rest.

    Raises:
        DeployError: Another operation was quicker.
    """
    with _alone(change_set.stack_id.split("/")[1] if "/" in change_set.stack_id else change_set.stack_id):
        cloud.cloudformation.execute_change_set(ChangeSetName=change_set.arn)


def discard(cloud: Cloud, change_set: ChangeSet) -> None:
    """Delete a change set, and with it the empty stack of one that would have made a stack."""
    cloud.cloudformation.delete_change_set(ChangeSetName=change_set.arn)
    if change_set.creates:
        cloud.cloudformation.delete_stack(StackName=change_set.stack_id)
