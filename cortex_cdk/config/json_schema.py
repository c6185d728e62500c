"""Writes JSON Schemas of ``cortex.yaml`` and ``cluster.yaml``, by which editors complete and check these files.

The models hold everything: types, bounds, meaning. A schema is more permissive than the models where JSON Schema has no
words, such as for rules between fields. ``cortex deploy`` checks these.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from cortex_cdk.config.cluster import Cluster
from cortex_cdk.config.model import Section
from cortex_cdk.config.realtime_api import RealtimeApi, TrafficSplitter

_SHOWN = ("title", "description", "default")
DIALECT = GenerateJsonSchema.schema_dialect


class _FileSchema(GenerateJsonSchema):
    """JSON Schema of a file that people write, whose values the models parse."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Describe a value that a parser reads: a number may be written with a unit, which makes text of it."""
        parsed = super().function_before_schema(schema)
        return {**parsed, "type": ["number", "string"]} if parsed.get("type") in ("number", "integer") else parsed

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Describe a section: ``null`` means that a field is not set."""
        section = super().model_schema(schema)
        required = section.get("required", ())
        for name, field in section.get("properties", {}).items():
            if name not in required and {"type": "null"} not in field.get("anyOf", ()):
                section["properties"][name] = _or_null(field)
        return section


def _or_null(field: JsonSchemaValue) -> JsonSchemaValue:
    """Describe a field that may be null. What editors show of the field stays at its top."""
    values = {key: value for key, value in field.items() if key not in _SHOWN}
    return {key: value for key, value in field.items() if key in _SHOWN} | {"anyOf": [values, {"type": "null"}]}


def api_file_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``cortex.yaml``."""
    return _schema(list[RealtimeApi | TrafficSplitter], "APIs and traffic splitters for cortex deploy")


def cluster_file_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``cluster.yaml``."""
    return _schema(Cluster, "A cluster for cortex cluster up")


def _schema(model: type[Section] | type[list[Any]], title: str) -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(schema_generator=_FileSchema)
    return {"$schema": DIALECT, **schema, "title": title}
