"""JSON Schemas of an OpenAPI document: what their values are, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REFERENCE = "#/components/schemas/"
_WORDS = {
    "number": "number",
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_EXAMPLES = {"number": 1.5, "integer": 1, "string": "text", "boolean": True}
_COUNTED = {"number", "whole number", "text", "file", "value"}
_DEEPEST = 3


@dataclass(frozen=True)
class Schemas:
    """The schemas that a document defines by name.

    Attributes:
        definitions: The schemas.
    """

    definitions: Mapping[str, Any]

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a schema that is a reference."""
        for _ in range(8):  # a reference may lead to another one
            name = str(schema.get("$ref", ""))
            if not name.startswith(_REFERENCE):
                break
            schema = self.definitions.get(name.removeprefix(_REFERENCE), {})
        return schema

    def variants(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the alternatives of a schema; itself where there are none."""
        schema = self.resolved(schema)
        found = schema.get("anyOf") or schema.get("oneOf")
        return [self.resolved(each) for each in found] if found else [schema]

    def words(self, schema: Mapping[str, Any], depth: int = 0) -> str:
        """Say what values of a schema are: ``number``, ``list of texts``, ``file``."""
        if depth > _DEEPEST:
            return "value"
        variants = self.variants(schema)
        if len(variants) > 1:
            return " or ".join(dict.fromkeys(self.words(each, depth + 1) for each in variants))
        return self._words_of_one(variants[0], depth)

    def _words_of_one(self, schema: Mapping[str, Any], depth: int) -> str:
        if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
            return " or ".join(map(repr, choices))
        if "contentMediaType" in schema or schema.get("format") == "binary":
            return "file"
        kind = str(schema.get("type"))
        if kind == "array":
            items = self.words(schema.get("items", {}), depth + 1)
            return f"list of {items}{'s' if items in _COUNTED else ''}"
        if kind == "object" and schema.get("properties"):
            return f"object ({', '.join(schema['properties'])})"
        return _WORDS.get(kind, "value")

    def example(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        """Make up a value of a schema: its first alternative, with what is required."""
        schema = self.variants(schema)[0]
        named = [schema.get("default"), schema.get("const"), *schema.get("enum", ())[:1]]
        if chosen := [value for value in named if value is not None]:
            return chosen[0]
        kind = str(schema.get("type"))
        if kind == "array":
            return [self.example(schema.get("items", {}), depth + 1)] if depth <= _DEEPEST else []
        if kind == "object":
            properties = schema.get("properties", {})
            named = [name for name in properties if name in schema.get("required", properties)]
            return {name: self.example(properties[name], depth + 1) for name in named if depth <= _DEEPEST}
        return schema.get("minimum", _EXAMPLES.get(kind))

    def alone(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return a schema outside the document, with the definitions that it refers to under ``$defs``."""
        used: dict[str, Any] = {}
        self._collect(schema, used)
        return _local({**schema, **({"$defs": used} if used else {})})  # type: ignore[no-any-return]

    def _collect(self, schema: Any, used: dict[str, Any]) -> None:
        if isinstance(schema, Mapping):
            name = str(schema.get("$ref", "")).removeprefix(_REFERENCE)
            if name in self.definitions and name not in used:
                used[name] = self.definitions[name]
                self._collect(used[name], used)
            for part in schema.values():
                self._collect(part, used)
        elif isinstance(schema, list):
            for part in schema:
                self._collect(part, used)


def _local(schema: Any) -> Any:
    """The same schema with references into its own definitions."""
    if isinstance(schema, Mapping):
        return {name: _local(of) for name, of in schema.items()}
    if isinstance(schema, list):
        return [_local(item) for item in schema]
    if isinstance(schema, str) and schema.startswith(_REFERENCE):
        return "#/$defs/" + schema.removeprefix(_REFERENCE)
    return schema
