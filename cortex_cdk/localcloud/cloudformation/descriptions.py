"""Describes stacks, resources and change sets in the form of CloudFormation's API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cortex_cdk.localcloud.cloudformation.name_conflicts import VALIDATION
from cortex_cdk.localcloud.cloudformation.stack import (
    Blueprint,
    ChangeSet,
    NameConflict,
    ResourceChange,
    Stack,
    StackResource,
)
from cortex_cdk.localcloud.cloudformation.template import parse

HIDDEN = "****"
"""CloudFormation shows this for a parameter with ``NoEcho``."""


def stack(stack: Stack) -> dict[str, Any]:
    """Return a ``Stack`` of DescribeStacks."""
    return _given(
        {
            "StackId": stack.id,
            "StackName": stack.name,
            "Description": stack.description,
            "Parameters": _parameters(stack.blueprint, dict(stack.resolved)),
            "CreationTime": stack.created,
            "LastUpdatedTime": stack.updated,
            "DeletionTime": stack.deleted,
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason,
            "DisableRollback": stack.on_failure == "DO_NOTHING",
            "EnableTerminationProtection": stack.protected,
            "NotificationARNs": stack.notification_arns,
            "Capabilities": stack.capabilities,
            "RoleARN": stack.role_arn,
            "Outputs": [
                _given(
                    {"OutputKey": o.key, "OutputValue": o.value, "Description": o.description, "ExportName": o.export}
                )
                for o in stack.outputs
            ],
            "Tags": _tags(stack.blueprint.tags),
            "DriftInformation": _drift(stack),
        }
    )


def stack_summary(stack: Stack) -> dict[str, Any]:
    """Return a ``StackSummary`` of ListStacks."""
    return _given(
        {
            "StackId": stack.id,
            "StackName": stack.name,
            "TemplateDescription": stack.description,
            "CreationTime": stack.created,
            "LastUpdatedTime": stack.updated,
            "DeletionTime": stack.deleted,
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason,
            "DriftInformation": _drift(stack),
        }
    )


def _drift(stack: Stack) -> dict[str, Any]:
    if stack.drift is None:
        return {"StackDriftStatus": "NOT_CHECKED"}
    return {"StackDriftStatus": stack.drift.status, "LastCheckTimestamp": stack.drift.time}


def resource(stack: Stack, resource: StackResource) -> dict[str, Any]:
    """Return a ``StackResource`` of DescribeStackResources."""
    return _given(
        {
            "StackId": stack.id,
            "StackName": stack.name,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id or None,
            "ResourceType": resource.type,
            "ResourceStatus": resource.status,
            "ResourceStatusReason": resource.reason,
            "Timestamp": resource.updated,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def summary(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    """Return a ``ChangeSetSummary`` of ListChangeSets, the common part of DescribeChangeSet."""
    return _given(
        {
            "StackId": stack.id,
            "StackName": stack.name,
            "ChangeSetId": change_set.id,
            "ChangeSetName": change_set.name,
            "Description": change_set.description,
            "Status": change_set.status,
            "StatusReason": change_set.reason,
            "ExecutionStatus": change_set.execution_status,
            "CreationTime": change_set.created,
        }
    )


def change_set(
    stack: Stack, change_set: ChangeSet, changes: Sequence[ResourceChange], token: str | None, *, with_values: bool
) -> dict[str, Any]:
    """Return the answer of DescribeChangeSet.

    Args:
        changes: The page of changes to show.
        token: The token of the next page, or None.
        with_values: Whether to show properties before and after (``IncludePropertyValues``).
    """
    return _given(
        {
            **summary(stack, change_set),
            "Parameters": _parameters(change_set.blueprint, {}),
            "Tags": _tags(change_set.blueprint.tags),
            "Capabilities": change_set.capabilities,
            "NotificationARNs": change_set.notification_arns,
            "OnStackFailure": change_set.on_failure,
            "Changes": [{"Type": "Resource", "ResourceChange": _change(c, with_values)} for c in changes],
            "NextToken": token,
        }
    )


def name_conflict(stack: Stack, change_set: ChangeSet, conflict: NameConflict) -> dict[str, Any]:
    """Return an ``OperationEvent`` of DescribeEvents that says which resource early validation refused."""
    return {
        "EventId": f"{change_set.id}/{conflict.logical_id}",
        "StackId": stack.id,
        "OperationType": "CREATE_CHANGESET",
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": conflict.logical_id,
        "ResourceType": conflict.type,
        "Timestamp": change_set.created,
        "ValidationFailureMode": "FAIL",
        "ValidationName": VALIDATION,
        "ValidationStatus": "FAILED",
        "ValidationStatusReason": conflict.reason,
        "ValidationPath": f"/Resources/{conflict.logical_id}",
    }


def operation_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of a stack as an ``OperationEvent`` of DescribeEvents."""
    return {"EventType": "STACK_EVENT", **{key: value for key, value in event.items() if key != "StackName"}}


def template_summary(body: str) -> dict[str, Any]:
    """Return the answer of GetTemplateSummary."""
    template = parse(body)
    return _given(
        {
            "Description": template.get("Description"),
            "Version": template.get("AWSTemplateFormatVersion"),
            "Metadata": json.dumps(template["Metadata"]) if "Metadata" in template else None,
            "ResourceTypes": list(dict.fromkeys(item["Type"] for item in template["Resources"].values())),
            "Parameters": [_declaration(key, slot) for key, slot in (template.get("Parameters") or {}).items()],
        }
    )


def _declaration(key: str, slot: dict[str, Any]) -> dict[str, Any]:
    return _given(
        {
            "ParameterKey": key,
            "ParameterType": slot.get("Type", "String"),
            "DefaultValue": str(slot["Default"]) if "Default" in slot else None,
            "Description": slot.get("Description"),
            "NoEcho": slot.get("NoEcho", False),
            "ParameterConstraints": {"AllowedValues": list(map(str, slot.get("AllowedValues", [])))},
        }
    )


def _change(change: ResourceChange, with_values: bool) -> dict[str, Any]:
    shown = with_values and change.action != "Remove"
    return _given(
        {
            "Action": change.action,
            "LogicalResourceId": change.logical_id,
            "PhysicalResourceId": change.physical_id,
            "ResourceType": change.type,
            "Replacement": change.replacement,
            "Scope": ["Properties"] if change.action == "Modify" else [],
            "Details": [_detail(detail, with_values) for detail in change.details],
            "BeforeContext": json.dumps({"Properties": change.before}) if with_values and change.before else None,
            "AfterContext": json.dumps({"Properties": change.after}) if shown and change.after else None,
        }
    )


def _detail(detail: dict[str, Any], with_values: bool) -> dict[str, Any]:
    hidden = () if with_values else ("BeforeValue", "AfterValue")
    target = {key: value for key, value in detail["Target"].items() if key not in hidden}
    return {**detail, "Target": target}


def _parameters(blueprint: Blueprint, resolved: Mapping[str, str]) -> list[dict[str, str]]:
    sent = blueprint.parameters
    return [
        {
            "ParameterKey": key,
            "ParameterValue": HIDDEN if slot.get("NoEcho") else str(sent.get(key, slot.get("Default", ""))),
            **({"ResolvedValue": resolved[key]} if key in resolved else {}),
        }
        for key, slot in blueprint.declared.items()
    ]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _given(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value is not None}
