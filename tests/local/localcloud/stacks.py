"""Stacks of the local cloud's CloudFormation, driven as a tool would: boto3 against a daemon of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.endpoint import Endpoint
from cortex_cdk.localcloud.settings import Settings

PATIENCE = 60.0
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


@contextmanager
def running(state: Path) -> Iterator[Endpoint]:
    """A local cloud with free ports, stopped at the end."""
    settings = Settings(state=state, control_port=0, http_port=0, https_port=0)
    try:
        yield launcher.ensure_running(settings)
    finally:
        launcher.stop(settings)


def client(endpoint: Endpoint, service: str, region: str = "us-east-1") -> Any:
    """A boto3 client of one service of a local cloud."""
    # boto3's overloads want the service's name as a literal.
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=endpoint.control_url,
        region_name=region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


class Stacks:
    """CloudFormation of a local cloud, with waiting."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.api = client(endpoint, "cloudformation")

    def create(self, name: str, template: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """Create a stack and wait until it is settled."""
        answer = self.api.create_stack(
            StackName=name, TemplateBody=json.dumps(template), Capabilities=CAPABILITIES, **arguments
        )
        return self.settled(answer["StackId"])

    def update(self, name: str, template: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """Update a stack and wait until it is settled."""
        answer = self.api.update_stack(
            StackName=name, TemplateBody=json.dumps(template), Capabilities=CAPABILITIES, **arguments
        )
        return self.settled(answer["StackId"])

    def delete(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Delete a stack and wait until it is settled."""
        stack_id = self.api.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        self.api.delete_stack(StackName=name, **arguments)
        return self.settled(stack_id)

    def change_set(self, name: str, template: Mapping[str, Any], kind: str = "UPDATE", **more: Any) -> dict[str, Any]:
        """Make a change set and describe it."""
        answer = self.api.create_change_set(
            StackName=name,
            ChangeSetName=f"change-{time.time_ns()}",
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            Capabilities=CAPABILITIES,
            **more,
        )
        described: dict[str, Any] = self.api.describe_change_set(ChangeSetName=answer["Id"], IncludePropertyValues=True)
        return described

    def settled(self, stack_id: str) -> dict[str, Any]:
        """The stack once no operation runs."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            stack: dict[str, Any] = self.api.describe_stacks(StackName=stack_id)["Stacks"][0]
            if not stack["StackStatus"].endswith("_IN_PROGRESS") or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
                return stack
            time.sleep(0.05)
        raise AssertionError(f"{stack_id} is still {stack['StackStatus']}")

    def events(self, name: str) -> list[tuple[str, str]]:
        """Logical ids and statuses of a stack's events, oldest first."""
        events = self.api.describe_stack_events(StackName=name)["StackEvents"]
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]

    def reasons(self, name: str, status: str) -> list[str]:
        """The reasons of all events with that status, oldest first."""
        events = self.api.describe_stack_events(StackName=name)["StackEvents"]
        return [e.get("ResourceStatusReason", "") for e in reversed(events) if e["ResourceStatus"] == status]

    def resources(self, name: str) -> dict[str, tuple[str, str]]:
        """Physical id and status of a stack's resources by logical id."""
        found = self.api.describe_stack_resources(StackName=name)["StackResources"]
        return {r["LogicalResourceId"]: (r.get("PhysicalResourceId", ""), r["ResourceStatus"]) for r in found}


def log_group(name: str | dict[str, Any], **properties: Any) -> dict[str, Any]:
    """The definition of a log group: the simplest resource that can change in place and be replaced."""
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, **properties}}


def template(**resources: Any) -> dict[str, dict[str, Any]]:
    """A template of these resources."""
    return {"Resources": resources}


def stuck_service(desired: int) -> dict[str, Any]:
    """A service whose tasks cannot start, and whose deployment nothing stops unless it wants none."""
    container = {"Name": "c", "Image": "no/such:image", "Memory": 64, "Command": [f"run-{desired}"]}
    definition = {"Family": "slow", "ContainerDefinitions": [container]}
    return template(
        Cluster={"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "slow"}},
        Definition={"Type": "AWS::ECS::TaskDefinition", "Properties": definition},
        Service={
            "Type": "AWS::ECS::Service",
            "Properties": {
                "ServiceName": "slow",
                "Cluster": {"Ref": "Cluster"},
                "DesiredCount": desired,
                "TaskDefinition": {"Ref": "Definition"},
            },
        },
    )


def log_groups(endpoint: Endpoint) -> dict[str, Any]:
    """Days of retention (None: for ever) by the name of the log group."""
    found = client(endpoint, "logs").describe_log_groups()["logGroups"]
    return {group["logGroupName"]: group.get("retentionInDays") for group in found}
