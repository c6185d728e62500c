"""What CloudFormation says of a stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code, error_message, if_allowed
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.stack_operations.resource_words import without_ids

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

# A stack in one of these never held a working resource: it can only be deleted.
NEVER_WORKED = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"})


@dataclass(frozen=True)
class StackState:
    """A stack as CloudFormation describes it.

    Attributes:
        name: The stack's name.
        id: Its ARN, which no later stack of that name has.
        status: Such as ``UPDATE_COMPLETE``.
        reason: Why it has that status; empty where CloudFormation gives no reason.
        parameters: Values by parameter. While an operation runs, those of that operation.
        outputs: Values by output key. While an operation runs, those of before.
        tags: Values by tag.
        created: When it was created: a stack of that name that was deleted before is another one.
        updated: When it was last changed, or created.
        resolved: Values that the last operation found in Systems Manager, by the name of the Systems Manager parameter.
    """

    name: str
    id: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    tags: Mapping[str, str]
    created: datetime
    updated: datetime
    resolved: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_progress(self) -> bool:
        """Whether an operation runs on the stack."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def never_worked(self) -> bool:
        """Whether the stack holds nothing but what is left of a first deployment that failed."""
        return self.status in NEVER_WORKED

    def belongs_to(self, cluster: str) -> bool:
        """Whether the stack is of that cluster.

        The name does not tell: stacks of a cluster called "a-api" look like those of APIs of cluster "a".
        """
        return self.tags.get(names.TAG_CLUSTER, cluster) == cluster

    @property
    def failed(self) -> bool:
        """Whether the last operation did not do what was asked for."""
        return "ROLLBACK" in self.status or self.status.endswith("_FAILED")


def _state(stack: StackTypeDef) -> StackState:
    return StackState(
        name=stack["StackName"],
        id=stack.get("StackId", ""),
        status=stack["StackStatus"],
        reason=without_ids(stack.get("StackStatusReason", "")),
        parameters={p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])},
        outputs={o["OutputKey"]: o.get("OutputValue", "") for o in stack.get("Outputs", [])},
        tags={tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])},
        created=stack["CreationTime"],
        updated=stack.get("LastUpdatedTime") or stack["CreationTime"],
        resolved={
            p.get("ParameterValue", ""): p["ResolvedValue"] for p in stack.get("Parameters", []) if "ResolvedValue" in p
        },
    )


def read_stack(cloud: Cloud, name: str) -> StackState | None:
    """Describe one stack.

    Args:
        cloud: A session of the environment.
        name: The stack's name or id. By id, a stack that was deleted is still found, as ``DELETE_COMPLETE``.

    Returns:
        None where there is no such stack.
    """
    from botocore.exceptions import ClientError

    try:
        stacks = cloud.cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error_code(error) == "ValidationError" and "does not exist" in error_message(error):
            return None
        raise
    return _state(stacks[0]) if stacks else None


def list_stacks(cloud: Cloud, *prefixes: str) -> Iterator[StackState]:
    """List stacks by name. Reads every page of the account's stacks, once.

    Args:
        cloud: A session of the environment.
        prefixes: How the names begin, one or another.

    Returns:
        The stacks that are not deleted, sorted by name.
    """
    pages = cloud.cloudformation.get_paginator("describe_stacks").paginate()
    stacks = [stack for page in pages for stack in page["Stacks"] if stack["StackName"].startswith(prefixes)]
    for stack in sorted(stacks, key=lambda stack: stack["StackName"]):
        if stack["StackStatus"] != "DELETE_COMPLETE":
            yield _state(stack)


def not_deployed(cloud: Cloud, cluster: str, name: str) -> NotDeployedError:
    """Say that a cluster has no API or splitter of that name, and which may be meant."""
    return NotDeployedError.among(
        name, if_allowed(lambda: [resource.name for resource, _ in list_resource_stacks(cloud, cluster)], list[str]())
    )


def list_resource_stacks(cloud: Cloud, cluster: str) -> list[tuple[names.Resource, StackState]]:
    """List the stacks of the APIs and traffic splitters of a cluster: APIs first, each by name.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
    """
    found = [
        (resource, stack)
        for stack in list_stacks(cloud, names.api_stack(cluster, ""), names.splitter_stack(cluster, ""))
        if stack.belongs_to(cluster) and (resource := names.resource_of(cluster, stack.name))
    ]
    return sorted(found, key=lambda one: (one[0].kind, one[0].name))
