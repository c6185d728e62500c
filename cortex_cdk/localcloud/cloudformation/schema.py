"""Reads from AWS's schemas which properties a resource type has, and which properties cannot change in place.

The schemas are CloudFormation's own (CloudFormation User Guide, "Resource type schema"), in the copy that the cfn-lint
package carries. So the local cloud needs no table of immutable properties.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# One region's copy will do: names and mutability of properties are the same in all regions.
SCHEMA_REGION = "us-east-1"
NOT_IN_THE_SCHEMA = {"AWS::Route53::RecordSet": ("/properties/Name",)}
"""Properties whose change means replacement, as the CloudFormation User Guide says and the schema does not."""


def replacement(resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Return the changed properties of a resource that make CloudFormation replace it.

    Args:
        resource_type: Such as ``AWS::ECS::Service``.
        old: The resolved properties before.
        new: The resolved properties after the change.
    """
    paths = [*_schema(resource_type).get("createOnlyProperties", []), *NOT_IN_THE_SCHEMA.get(resource_type, ())]
    create_only = [path.split("/")[2:] for path in paths]
    return {path[0] for path in create_only if _at(old, path) != _at(new, path)}


def custom_name(resource_type: str, properties: Mapping[str, Any]) -> str | None:
    """Return the name that a template gives a resource as its identity; None if CloudFormation names the resource."""
    identifiers = _schema(resource_type).get("primaryIdentifier", [])
    if len(identifiers) != 1:
        return None
    name = properties.get(identifiers[0].split("/")[-1])
    return name if isinstance(name, str) else None


def problem(resource_type: str, properties: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the names of a resource's properties; None if nothing is."""
    schema = _schema(resource_type)
    if not schema:
        return None
    unknown = [name for name in properties if name not in schema["properties"]]
    if unknown:
        return f"Encountered unsupported property {unknown[0]}"
    missing = [name for name in schema.get("required", []) if name not in properties]
    if missing:
        return f"Property {missing[0]} cannot be empty."
    return None


@cache
def _schema(resource_type: str) -> dict[str, Any]:
    """Return the schema of a type. The schema of a type that AWS does not publish is empty."""
    name = _index().get(resource_type)
    if name is None:
        return {}
    schema: dict[str, Any] = json.loads((_folder() / "resources" / f"{name}.json").read_text())
    return schema


@lru_cache(maxsize=1)
def _index() -> dict[str, str]:
    index: dict[str, str] = json.loads((_folder() / "providers" / f"{SCHEMA_REGION}.json").read_text())
    return index


def _folder() -> Path:
    # Found without an import of the package, which would take more than a second.
    spec = find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("cfn-lint, which carries the schemas of resource types, is not installed")
    return Path(spec.origin).parent / "data" / "schemas"


def _at(properties: Any, path: list[str]) -> Any:
    for part in path:
        if not isinstance(properties, dict):
            return None
        properties = properties.get(part)
    return properties
