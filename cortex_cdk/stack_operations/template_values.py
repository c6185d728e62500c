"""Puts the values of parameters into a template, so that two templates can be compared. Pure.

What only CloudFormation knows (names and attributes of resources, pseudo parameters) stays as the template has it.
Source: "Intrinsic function reference" of the AWS CloudFormation User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NO_VALUE = "AWS::NoValue"
_IN_SUB = re.compile(r"\$\{([A-Za-z0-9]+)\}")


class _Absent:
    """What ``AWS::NoValue`` leaves of a property."""


_ABSENT = _Absent()


def resources_of(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the resources that a template asks for, with the values of its parameters.

    Args:
        template: A template in JSON.
        parameters: Values by parameter; what is missing has its default.

    Returns:
        Definitions by logical id, without resources whose condition does not hold.
    """
    return _Values(template, parameters).resources(template)


class _Values:
    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        declared: Mapping[str, Any] = template.get("Parameters", {})
        self._parameters = {
            name: str(parameters.get(name, known.get("Default", ""))) for name, known in declared.items()
        }
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})

    def resources(self, template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        found = {}
        for logical_id, definition in template.get("Resources", {}).items():
            if "Condition" not in definition or self._holds({"Condition": definition["Condition"]}):
                found[logical_id] = {**definition, "Properties": self.value(definition.get("Properties", {}))}
        return found

    def value(self, written: Any) -> Any:
        if isinstance(written, list):
            values = (self.value(item) for item in written)
            return [value for value in values if value is not _ABSENT]
        if not isinstance(written, dict):
            return written
        if len(written) == 1:
            ((function, argument),) = written.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        values_of = {name: self.value(item) for name, item in written.items()}
        return {name: value for name, value in values_of.items() if value is not _ABSENT}

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return _ABSENT if argument == NO_VALUE else self._parameters.get(argument, {"Ref": argument})
        if function == "Fn::If":
            condition, yes, no = argument
            return self.value(yes if self._holds({"Condition": condition}) else no)
        inner = self.value(argument)
        if function == "Fn::Join" and all(isinstance(part, str) for part in inner[1]):
            return inner[0].join(inner[1])
        if function == "Fn::Sub" and isinstance(inner, str):
            text = _IN_SUB.sub(lambda found: self._parameters.get(found[1], found[0]), inner)
            return {"Fn::Sub": text} if "${" in text else text
        return {function: inner}

    def _holds(self, condition: Any) -> bool:
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self._holds(self._conditions[argument])
        if function == "Fn::Not":
            return not self._holds(argument[0])
        if function == "Fn::And":
            return all(map(self._holds, argument))
        if function == "Fn::Or":
            return any(map(self._holds, argument))
        first, second = map(self.value, argument)
        return bool(first == second)
