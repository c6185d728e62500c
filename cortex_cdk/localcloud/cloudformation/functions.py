"""Resolves the functions of a template (``Ref``, ``Fn::GetAtt``, ``Fn::If`` ...) with moto's parser.

moto's ``ResourceMap`` creates a resource at the first look. Here a look creates nothing: a resource that exists comes
from the stack, and a resource that does not exist yet (in a change set) is a stand-in whose values are all ``UNKNOWN``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.parsing import ResourceMap, clean_json
from moto.core.exceptions import ServiceException

from cortex_cdk.localcloud.cloudformation.stack import Blueprint, Output, Stack

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
"""CloudFormation's own text for a value that exists only once the change set has been executed."""
SSM_TYPES = "AWS::SSM::Parameter::"
# A new version of a launch template is a new value of these attributes, though the resource stays.
CHANGING_ATTRIBUTES = {"AWS::EC2::LaunchTemplate": ("LatestVersionNumber", "DefaultVersionNumber")}


class Unknown:
    """Stands for a resource that does not exist yet."""

    physical_resource_id = UNKNOWN

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """Return ``UNKNOWN``, whatever the attribute."""
        return UNKNOWN


class Changing:
    """Stands for a resource that will be changed in place, so that some attributes are unknown."""

    def __init__(self, model: Any, resource_type: str) -> None:
        self.physical_resource_id = model.physical_resource_id
        self._model = model
        self._changing = CHANGING_ATTRIBUTES.get(resource_type, ())

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """Return the attribute's value now, or ``UNKNOWN`` if the change may change it."""
        return UNKNOWN if attribute_name in self._changing else self._model.get_cfn_attribute(attribute_name)


class Scope(ResourceMap):
    """Everything that a template may refer to while a stack is made from the template.

    Args:
        stack: The stack, whose resources the template may refer to.
        template: The parsed template.
        blueprint: The values of the template's parameters, and the tags that the stack's resources get.
        exports: Exported values of all stacks by name.

    Raises:
        ValidationError: A parameter is missing, unknown, or not allowed.
    """

    def __init__(
        self, stack: Stack, template: dict[str, Any], blueprint: Blueprint, exports: Mapping[str, Any]
    ) -> None:
        check_parameters(template, blueprint.parameters)
        self._stack_tags = blueprint.tags
        super().__init__(
            stack_id=stack.id,
            stack_name=stack.name,
            parameters=dict(blueprint.parameters),
            tags={},
            region_name=stack.region,
            account_id=stack.account,
            template=template,
            cross_stack_resources=dict(exports),
        )
        self.load_mapping()
        self.load_parameters()
        self.load_conditions()
        for resource in stack.resources.values():
            if resource.model is not None:
                self.put(resource.logical_id, resource.model)

    def __getitem__(self, key: str) -> Any:
        if key not in self._parsed_resources:
            raise ValidationError(message=f"Template error: {key} is referred to, but its condition is false")
        return self._parsed_resources[key]

    def put(self, logical_id: str, model: Any) -> None:
        """Make a resource known, or a stand-in for the resource."""
        self._parsed_resources[logical_id] = model

    def published_values(self) -> tuple[tuple[str, str], ...]:
        """Return the parameters whose value is in Systems Manager, each with that value."""
        declared: Mapping[str, Any] = self._template.get("Parameters") or {}
        names = [name for name, slot in declared.items() if str(slot.get("Type")).startswith(SSM_TYPES)]
        return tuple((name, str(self.resolved_parameters[name])) for name in names)

    def includes(self, definition: Mapping[str, Any]) -> bool:
        """Return whether a resource or output is part of the stack, as its condition says."""
        condition = definition.get("Condition")
        return condition is None or bool(self.lazy_condition_map[condition])

    def parse_ssm_parameter(self, value: str, value_type: str) -> Any:
        """Return the value of an SSM parameter. moto calls this for template parameters of the SSM types."""
        from moto.ssm.models import ssm_backends

        parameter = ssm_backends[self._account_id][self._region_name].get_parameter(value)
        if parameter is not None:
            return parameter.value.split(",") if "List" in value_type else parameter.value
        raise ValidationError(message=f"Unable to fetch parameters [{value}] from parameter store for this account.")

    def resolve(self, value: Any) -> Any:
        """Return a piece of the template with all functions computed.

        Raises:
            ValidationError: A function cannot be computed here.
        """
        try:
            resolved = _without_nothing(clean_json(self._with_zones(copy.deepcopy(value)), self))
        except ServiceException:
            raise
        except (IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValidationError(message=f"Template error: cannot compute {value!r}: {error}") from error
        left = _function_left(resolved)
        if left:
            raise ValidationError(message=f"Template error: the local cloud cannot compute {left}")
        return resolved

    def _with_zones(self, value: Any) -> Any:
        """Name the region in ``Fn::GetAZs`` of "", for which moto would take a default region of its own."""
        if isinstance(value, list):
            return [self._with_zones(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "Fn::GetAZs" in value:
            return {"Fn::GetAZs": clean_json(value["Fn::GetAZs"], self) or self._region_name}
        return {key: self._with_zones(item) for key, item in value.items()}

    def properties(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return the resolved properties of a resource. Its tags include the stack's; the resource's own win."""
        resolved: dict[str, Any] = self.resolve(definition.get("Properties") or {})
        own = resolved.get("Tags")
        if isinstance(own, list):
            # CloudFormation adds this for Auto Scaling groups, the only type whose tags have it.
            more = {"PropagateAtLaunch": True} if any("PropagateAtLaunch" in tag for tag in own) else {}
            named = {tag["Key"] for tag in own}
            resolved["Tags"] = own + [
                {"Key": key, "Value": value, **more} for key, value in self._stack_tags.items() if key not in named
            ]
        return resolved

    def outputs(self) -> list[Output]:
        """Return the outputs of the template whose conditions hold."""
        return [
            Output(
                key=key,
                value=_text(self.resolve(definition["Value"])),
                description=definition.get("Description"),
                export=self.resolve(definition["Export"]["Name"]) if "Export" in definition else None,
            )
            for key, definition in (self._template.get("Outputs") or {}).items()
            if self.includes(definition)
        ]


def check_parameters(template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
    """Refuse parameters as CloudFormation does.

    Raises:
        ValidationError: Parameters are unknown, missing, or not allowed; the message names them.
    """
    declared: Mapping[str, Any] = template.get("Parameters") or {}
    unknown = [name for name in parameters if name not in declared]
    if unknown:
        raise ValidationError(message=f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [name for name, slot in declared.items() if "Default" not in slot and name not in parameters]
    if missing:
        raise ValidationError(message=f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in parameters.items():
        trouble = _trouble(declared[name], value)
        if trouble:
            raise ValidationError(message=f"Parameter '{name}' {trouble}")


def _trouble(slot: Mapping[str, Any], value: str) -> str | None:
    allowed = [str(item) for item in slot.get("AllowedValues", [])]
    if allowed and value not in allowed:
        return f"must be one of AllowedValues [{', '.join(allowed)}]"
    if "AllowedPattern" in slot and not re.fullmatch(slot["AllowedPattern"], value):
        return str(slot.get("ConstraintDescription") or f"must match pattern {slot['AllowedPattern']}")
    if slot.get("Type") == "Number" and not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", value):
        return "must be a number"
    if slot.get("Type") == "Number":
        return _outside(float(value), slot, "MinValue", "MaxValue")
    return _outside(len(value), slot, "MinLength", "MaxLength")


def _outside(size: float, slot: Mapping[str, Any], lowest: str, highest: str) -> str | None:
    if lowest in slot and size < float(slot[lowest]):
        return f"is below its {lowest} {slot[lowest]}"
    if highest in slot and size > float(slot[highest]):
        return f"is above its {highest} {slot[highest]}"
    return None


def _without_nothing(value: Any) -> Any:
    """Remove items of ``AWS::NoValue`` from lists, too. moto removes such items from dictionaries only."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nothing(item) for item in value if item is not None]
    return value


def _function_left(value: Any) -> str | None:
    items: Iterable[Any] = ()
    if isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("Fn::"):
                return f"{key} {item}"
        items = value.values()
    elif isinstance(value, list):
        items = value
    return next((left for left in map(_function_left, items) if left), None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
