"""Drift: whether the resources of a stack still are what its template says.

As in CloudFormation, only properties that the template gives are compared, and resources whose type cannot tell its
actual state are not checked. Source: "Detect unmanaged configuration changes" (AWS CloudFormation User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow

from cortex_cdk.localcloud.cloudformation.changes import difference
from cortex_cdk.localcloud.cloudformation.resource import Place, Resource
from cortex_cdk.localcloud.cloudformation.stack import IN_SYNC, Drift, Stack, StackResource

MODIFIED, DELETED = "MODIFIED", "DELETED"


def detect(stack: Stack, only: tuple[str, ...] = ()) -> Drift:
    """Compare the resources of a stack with its template.

    Args:
        stack: The stack.
        only: Logical ids of the resources to look at; empty for all.
    """
    wanted = [one for one in stack.resources.values() if not only or one.logical_id in only]
    checked = [found for one in wanted if (found := _check(stack, one))]
    return Drift(str(uuid4()), utcnow(), tuple(checked))


def _check(stack: Stack, resource: StackResource) -> dict[str, Any] | None:
    """Compare one resource; None where its type cannot tell."""
    expected, model = resource.properties, resource.model
    if expected is None or not isinstance(model, Resource):
        return None
    actual = model.actual(expected, Place(stack.account, stack.region))
    if actual is not None and not actual:
        return None
    found = {
        "StackId": stack.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        "Timestamp": utcnow(),
    }
    if actual is None:
        return {**found, "StackResourceDriftStatus": DELETED, "PropertyDifferences": []}
    compared = {name: expected[name] for name in actual if name in expected}
    differences = [_difference(name, expected, actual) for name in difference(compared, actual)]
    return {
        **found,
        "ExpectedProperties": json.dumps(expected, default=str),
        "ActualProperties": json.dumps({**expected, **actual}, default=str),
        "PropertyDifferences": differences,
        "StackResourceDriftStatus": MODIFIED if differences else IN_SYNC,
    }


def _difference(name: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, str]:
    given, found = expected.get(name), actual.get(name)
    kind = "ADD" if given is None else "REMOVE" if found is None else "NOT_EQUAL"
    return {
        "PropertyPath": f"/{name}",
        "ExpectedValue": _text(given),
        "ActualValue": _text(found),
        "DifferenceType": kind,
    }


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value, default=str)
