"""Compares the resources of a stack with the resources that a template asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_cdk.localcloud.cloudformation import schema
from cortex_cdk.localcloud.cloudformation.functions import UNKNOWN, Changing, Scope, Unknown
from cortex_cdk.localcloud.cloudformation.stack import ResourceChange, Stack, StackResource
from cortex_cdk.localcloud.cloudformation.template import dependency_order


def compute(stack: Stack, template: dict[str, Any], scope: Scope) -> tuple[ResourceChange, ...]:
    """Return the changes that executing a change set would make, in the order of the operation.

    Resolved properties are compared, so that a changed parameter or condition shows in each resource that uses it. As
    in CloudFormation, a value counts as changed if it depends on a resource that is still to be made.

    Args:
        stack: The stack now.
        template: The parsed new template.
        scope: Resolves the template for the stack. The scope gets stand-ins for resources that would be made or
            changed.
    """
    found = []
    present = set()
    for logical_id in dependency_order(template):
        definition = template["Resources"][logical_id]
        if scope.includes(definition):
            present.add(logical_id)
            change = _change(stack.existing(logical_id), logical_id, definition, scope)
            if change:
                found.append(change)
    removed = [_removal(r) for r in stack.resources.values() if r.model is not None and r.logical_id not in present]
    return (*found, *removed)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the top-level properties that differ."""
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _change(
    current: StackResource | None, logical_id: str, definition: Mapping[str, Any], scope: Scope
) -> ResourceChange | None:
    kind = definition["Type"]
    new = scope.properties(definition)
    if current is None:
        scope.put(logical_id, Unknown())
        return ResourceChange("Add", logical_id, kind, after=new)
    old = current.properties or {}
    if current.type == kind and not difference(old, new):
        return None
    replacing = schema.replacement(kind, old, new)
    replaced = _replaced(current, kind, replacing, new)
    scope.put(logical_id, Changing(current.model, kind) if replaced == "False" else Unknown())
    details = tuple(_detail(name, old, new, replacing, definition) for name in difference(old, new))
    return ResourceChange("Modify", logical_id, kind, current.physical_id, replaced, details, old, new)


def _replaced(current: StackResource, kind: str, replacing: set[str], new: Mapping[str, Any]) -> str:
    if current.type != kind:
        return "True"
    if not replacing:
        return "False"
    # A value that is not known yet may turn out to be the same.
    return "Conditional" if all(_unknown(new.get(name)) for name in replacing) else "True"


def _removal(resource: StackResource) -> ResourceChange:
    return ResourceChange(
        "Remove", resource.logical_id, resource.type, resource.physical_id, before=resource.properties or {}
    )


def _detail(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], replacing: set[str], definition: Mapping[str, Any]
) -> dict[str, Any]:
    value = new.get(name)
    target = {
        "Attribute": "Properties",
        "Name": name,
        "Path": f"/Properties/{name}",
        "RequiresRecreation": "Always" if name in replacing else "Never",
        "BeforeValue": _shown(old.get(name)),
        "AfterValue": _shown(value),
        "AttributeChangeType": "Add" if name not in old else "Remove" if name not in new else "Modify",
    }
    dynamic = _unknown(value)
    return {
        "Target": {key: item for key, item in target.items() if item is not None},
        "Evaluation": "Dynamic" if dynamic else "Static",
        "ChangeSource": "ResourceReference" if dynamic else _source(definition.get("Properties", {}).get(name)),
    }


def _source(written: Any) -> str:
    return "ParameterReference" if isinstance(written, dict) and "Ref" in written else "DirectModification"


def _unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_unknown, value))
    return isinstance(value, str) and UNKNOWN in value


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)
