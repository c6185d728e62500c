"""Parses templates, and orders their resources by the references between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml
from moto.cloudformation.exceptions import ValidationError

SUB_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")
PARSED = 64
"""How many templates stay parsed, those that operations work with. What looks at all stacks must not parse them."""
PSEUDO_PREFIX = "AWS::"


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short forms of functions, and no dates (``Version: 2012-10-17`` is text)."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@lru_cache(maxsize=PARSED)
def parse(body: str) -> dict[str, Any]:
    """Read a template, JSON or YAML, and check its form. Callers share the result, and must not change it.

    Raises:
        ValidationError: The text is neither, has no resources, or refers to a name that does not exist.
    """
    try:
        content = json.loads(body) if body.lstrip().startswith("{") else yaml.load(body, Loader=_Loader)  # noqa: S506
    except (ValueError, yaml.YAMLError) as error:
        raise ValidationError(message=f"Template format error: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("Resources"), dict) or not content["Resources"]:
        raise ValidationError(message="Template format error: At least one Resources member must be defined.")
    for name, resource in content["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise ValidationError(message=f"Template format error: [/Resources/{name}] must have a Type.")
    template: dict[str, Any] = _normalize(content)
    _check_references(template)
    dependency_order(template)
    return template


def dependencies(template: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the resources that each resource refers to by ``Ref``, ``Fn::GetAtt``, ``Fn::Sub`` or ``DependsOn``."""
    resources = template["Resources"]
    return {
        name: list(dict.fromkeys(other for other in _needs(resource) if other in resources))
        for name, resource in resources.items()
    }


def dependency_order(template: Mapping[str, Any]) -> list[str]:
    """Return the resources in the order of the template, but each after the resources that it refers to.

    Raises:
        ValidationError: Resources refer to each other in a circle.
    """
    needs = dependencies(template)
    order: list[str] = []
    open_names: list[str] = []

    def visit(name: str) -> None:
        if name in open_names:
            circle = ", ".join(open_names[open_names.index(name) :])
            raise ValidationError(message=f"Circular dependency between resources: [{circle}]")
        if name not in order:
            open_names.append(name)
            for other in needs[name]:
                visit(other)
            open_names.pop()
            order.append(name)

    for name in needs:
        visit(name)
    return order


def references(value: Any) -> Iterator[str]:
    """Yield each name that a piece of template refers to: resources, parameters, pseudo parameters."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::GetAtt":
                yield item[0]
                yield from references(item[1:])
            elif key == "Fn::Sub":
                yield from _sub_references(item)
            else:
                yield from references(item)


def _needs(resource: Mapping[str, Any]) -> Iterator[str]:
    depends = resource.get("DependsOn", [])
    yield from [depends] if isinstance(depends, str) else depends
    yield from references(resource.get("Properties", {}))


def _sub_references(value: Any) -> Iterator[str]:
    text, own = (value[0], value[1]) if isinstance(value, list) else (value, {})
    for variable in SUB_VARIABLE.findall(text):
        name = variable.split(".")[0].strip()
        if name not in own:
            yield name
    yield from references(own)


def _normalize(value: Any) -> Any:
    """Turn ``"Fn::GetAtt": "Name.Attribute.Part"``, and lists of more parts, into ``[name, "Attribute.Part"]``."""
    if isinstance(value, list):
        return [_normalize(item) for item in value]
    if not isinstance(value, dict):
        return value
    attribute = value.get("Fn::GetAtt")
    if isinstance(attribute, str):
        return {"Fn::GetAtt": attribute.split(".", 1)}
    if isinstance(attribute, list) and all(isinstance(part, str) for part in attribute):
        return {"Fn::GetAtt": [attribute[0], ".".join(attribute[1:])]}
    return {key: _normalize(item) for key, item in value.items()}


def _check_references(template: Mapping[str, Any]) -> None:
    known = template["Resources"].keys() | template.get("Parameters", {}).keys()
    blocks = {
        "Resources": [resource.get("Properties", {}) for resource in template["Resources"].values()],
        "Outputs": list((template.get("Outputs") or {}).values()),
    }
    for block, content in blocks.items():
        missing = sorted({n for n in references(content) if n not in known and not n.startswith(PSEUDO_PREFIX)})
        if missing:
            raise ValidationError(
                message="Template format error: Unresolved resource dependencies "
                f"[{', '.join(missing)}] in the {block} block of the template"
            )
