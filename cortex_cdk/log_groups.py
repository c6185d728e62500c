"""The log group of an API. The group outlives the API's stack: a first deployment that failed can be understood.

CloudFormation makes the group, and keeps it (``DeletionPolicy: Retain``). The name is fixed, so that a kept group is in
the way of the next deployment: whoever deletes an API, or makes one, removes the group that is left (decision 0043). A
group without the API's tags is somebody else's and stays.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_serving.contract import log_stream

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.errors import CortexError
from cortex_cdk.logs import search

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef, LogGroupTypeDef

DEPLOYER = "deployer"
"""Stands in the place of a replica's id in the record that a deployment leaves."""
FAILED_EVENT = "deployment_failed"
"""``event`` of the record that says why a first deployment failed."""


def is_kept(cloud: Cloud, cluster: str, api: str) -> bool:
    """Whether there is a log group that an API's stack has made."""
    return any(_own_groups(cloud, cluster, api))


def remove(cloud: Cloud, cluster: str, api: str) -> bool:
    """Remove the log group of an API whose stack is gone.

    Returns:
        Whether there was one.
    """
    groups = list(_own_groups(cloud, cluster, api))
    for name in groups:
        _remove(cloud, name)
    return bool(groups)


def remove_all(cloud: Cloud, cluster: str) -> None:
    """Remove the log groups of all APIs of a cluster, whose stacks are gone."""
    for name in list(_own_groups(cloud, cluster)):
        _remove(cloud, name)


def note_failure(cloud: Cloud, cluster: str, api: str, revision: str, reason: str) -> None:
    """Write into what is kept why the first deployment of an API failed. Does nothing where it cannot.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's name.
        api: The API's name.
        revision: The revision that was to be deployed.
        reason: One line.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    group, stream = names.log_group(cluster, api), log_stream(revision, DEPLOYER)
    record = {"level": "CRITICAL", "message": f"not deployed: {reason}", "event": FAILED_EVENT, "reason": reason}
    event: InputLogEventTypeDef = {"timestamp": int(time.time() * 1000), "message": json.dumps(record)}
    # The records of the replicas are there all the same. And whoever waits for the same deployment may have been first.
    with suppress(ClientError, BotoCoreError, CortexError):
        cloud.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        cloud.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


@dataclass(frozen=True)
class NotedFailure:
    """A first deployment that failed.

    Attributes:
        at: When that was noted.
        reason: One line.
    """

    at: datetime
    reason: str


def noted_failure(cloud: Cloud, cluster: str, api: str) -> NotedFailure | None:
    """Why the first deployment of an API failed; None where nobody noted that."""
    for record in search(cloud, names.log_group(cluster, api), FAILED_EVENT):
        if record.replica == DEPLOYER and record.fields.get("event") == FAILED_EVENT:
            return NotedFailure(record.time, str(record.fields["reason"]))
    return None


def _own_groups(cloud: Cloud, cluster: str, api: str | None = None) -> Iterator[str]:
    """Names of the log groups that stacks of the cluster's APIs made: all, or that of one API."""
    prefix = names.log_group(cluster, api or "")
    for page in cloud.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for group in page["logGroups"]:
            name = group["logGroupName"]
            if (api is None or name == prefix) and _is_of(cloud, group, cluster):
                yield name


def _is_of(cloud: Cloud, group: LogGroupTypeDef, cluster: str) -> bool:
    arn = group["arn"].removesuffix(":*")
    tags = cloud.logs.list_tags_for_resource(resourceArn=arn)["tags"]
    of_api = names.log_group(tags.get(names.TAG_CLUSTER, ""), tags.get(names.TAG_API, ""))
    return tags.get(names.TAG_CLUSTER) == cluster and of_api == group["logGroupName"]


def _remove(cloud: Cloud, name: str) -> None:
    from botocore.exceptions import ClientError

    try:
        cloud.logs.delete_log_group(logGroupName=name)
    except ClientError as error:
        # Another command was quicker.
        if error_code(error) != "ResourceNotFoundException":
            raise
