"""Converts forms, whose fields are text, into values that a payload's type can check.

pydantic converts text into numbers, dates and booleans. This module does the rest, by the type's JSON schema: fields
may be repeated, an empty input of a web page means no value, objects come as JSON (as OpenAPI has them in forms), and
files may be wanted as bytes, text or ``UploadFile``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from cortex_serving.payloads.forms import FormData, UploadFile
from cortex_serving.payloads.value_memory import ValueMemory

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
_NESTED = frozenset({"object", "array"})


@dataclass(frozen=True)
class _Kinds:
    """The values that a field accepts: the JSON schemas of its alternatives, without null."""

    schemas: tuple[Mapping[str, Any], ...]

    @cached_property
    def types(self) -> set[str]:
        return {str(schema.get("type", "any")) for schema in self.schemas}

    @cached_property
    def takes_files(self) -> bool:
        return any("contentMediaType" in schema for schema in self.schemas)

    @cached_property
    def takes_bytes(self) -> bool:
        return any(schema.get("format") == "binary" for schema in self.schemas)

    def read(self, value: str | UploadFile, memory: ValueMemory) -> Any:
        """Convert one part of the form."""
        if isinstance(value, UploadFile):
            if self.takes_files:
                return value
            content = value.read()
            return content if self.takes_bytes else _json(content, value, memory) if self.types & _NESTED else value
        for schema in self.schemas:
            for choice in schema.get("enum", [schema["const"]] if "const" in schema else []):
                if not isinstance(choice, str) and orjson.dumps(choice).decode() == value:
                    return choice
        return _json(value, value, memory) if self.types & _NESTED and "string" not in self.types else value


@dataclass(frozen=True)
class _Field:
    """A field of the form.

    Attributes:
        alone: Values that the field accepts once.
        repeated: Values that each repetition accepts, if the field is a list; else None.
        required: Whether the field must be there.
    """

    alone: _Kinds
    repeated: _Kinds | None
    required: bool

    @property
    def only_files(self) -> bool:
        """Whether the field accepts nothing but files."""
        schemas = [schema for kinds in (self.alone, self.repeated) if kinds for schema in kinds.schemas]
        return bool(schemas) and all("contentMediaType" in schema for schema in schemas)

    def read(self, values: list[str | UploadFile], memory: ValueMemory) -> Any:
        """Convert all parts of the field."""
        if self.repeated is None or (self.alone.schemas and len(values) == 1):
            return self.alone.read(values[-1], memory)
        if len(values) == 1 and isinstance(values[0], str) and "string" not in self.repeated.types:
            whole = _json(values[0], None, memory)
            if isinstance(whole, list):
                return whole
        return [self.repeated.read(value, memory) for value in values]


class FormFields:
    """Converts forms by a JSON schema.

    Args:
        schema: The payload's schema, with definitions under ``$defs``.

    Attributes:
        is_file: Whether the payload is a file, and nothing with fields.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._definitions = schema.get("$defs", {})
        self._objects = [variant for variant in self._variants(schema) if variant.get("type") == "object"]
        self._fields: dict[str, _Field] = {}
        self.is_file = self._field(schema, required=True).only_files
        for variant in self._objects:
            for name, of in variant.get("properties", {}).items():
                self._add(name, of, required=name in variant.get("required", ()))
        more = [of for variant in self._objects if isinstance(of := variant.get("additionalProperties"), dict)]
        self._other = self._field({"anyOf": more or [{}]}, required=True)

    def has(self, name: str) -> bool:
        """Return whether the schema has a field of that name."""
        return name in self._fields

    def value(self, form: FormData, memory: ValueMemory) -> dict[str, Any]:
        """Convert a form into a dict that the payload's type can check.

        Args:
            form: The form.
            memory: For values of JSON in its fields.
        """
        value: dict[str, Any] = {}
        for name, parts in _by_name(form).items():
            field = self._fields.get(name)
            if field is None:
                others = [self._other.read([one], memory) for one in parts]
                value[name] = others[0] if len(others) == 1 else others
            elif field.required or parts != [""]:
                value[name] = field.read(parts, memory)
        for name, field in self._fields.items():
            if name not in value and field.required and field.repeated and not field.alone.schemas:
                value[name] = []  # a form cannot say an empty list: it leaves the field out
        return value

    @cached_property
    def file_field(self) -> str | None:
        """The field that a body may be which is a file: the only one that takes files, if no other is required."""
        files = [name for name, field in self._fields.items() if field.alone.takes_files or field.alone.takes_bytes]
        required = {name for name, field in self._fields.items() if field.required}
        return files[0] if len(self._objects) == 1 and len(files) == 1 and required <= {files[0]} else None

    def described(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the content types of forms and their JSON schema, for OpenAPI.

        Returns:
            No content types if a field holds objects: they would be read as JSON, but few clients can send them so.
        """
        kinds = [kind for field in self._fields.values() for kind in (field.alone, field.repeated) if kind]
        if len(self._objects) != 1 or not kinds or any(kind.types & {*_NESTED, "any"} for kind in kinds):
            return (), {}
        variant = self._objects[0]
        properties = {name: _without_null(of) for name, of in variant["properties"].items()}
        schema = {**variant, "properties": properties}
        schema.pop("$defs", None)
        files = any(kind.takes_files or kind.takes_bytes for kind in kinds)
        return ((MULTIPART,) if files else (URLENCODED, MULTIPART)), schema

    def as_json(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the payload's schema for JSON bodies, which have no files; None if a file is required."""
        files = {name: field.required for name, field in self._fields.items() if field.only_files}
        if any(files.values()):
            return None
        if not files or "properties" not in schema:
            return dict(schema)
        return {**schema, "properties": {name: of for name, of in schema["properties"].items() if name not in files}}

    def _add(self, name: str, schema: Mapping[str, Any], *, required: bool) -> None:
        known = self._fields.get(name)
        field = self._field(schema, required=required)
        if known is not None:  # another alternative of a union has the field too
            repeated = [kind.schemas for kind in (known.repeated, field.repeated) if kind]
            field = _Field(
                _Kinds(known.alone.schemas + field.alone.schemas),
                _Kinds(sum(repeated, ())) if repeated else None,
                known.required and field.required,
            )
        self._fields[name] = field

    def _field(self, schema: Mapping[str, Any], *, required: bool) -> _Field:
        variants = [variant for variant in self._variants(schema) if variant.get("type") != "null"]
        arrays = [variant for variant in variants if variant.get("type") == "array"]
        items = [part for array in arrays for part in (array.get("items", {}), *array.get("prefixItems", ()))]
        return _Field(
            _Kinds(tuple(variant for variant in variants if variant.get("type") != "array")),
            _Kinds(tuple(variant for item in items for variant in self._variants(item))) if arrays else None,
            required,
        )

    def _variants(self, schema: Any, seen: frozenset[str] = frozenset()) -> Iterator[Mapping[str, Any]]:
        """Yield the alternatives of a schema, with references and unions resolved."""
        if not isinstance(schema, Mapping):
            return
        reference = schema.get("$ref")
        if reference is not None and reference not in seen:
            yield from self._variants(self._definitions.get(reference.rpartition("/")[2]), seen | {reference})
        parts = [part for name in ("anyOf", "oneOf", "allOf") for part in schema.get(name, ())]
        for part in parts:
            yield from self._variants(part, seen)
        if reference is None and not parts:
            yield schema


def _json(text: str | bytes, otherwise: Any, memory: ValueMemory) -> Any:
    try:
        content = text.encode() if isinstance(text, str) else text
        memory.take_json(content, checked=True)
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return otherwise  # pydantic then reports the text as a wrong value


def _by_name(form: FormData) -> dict[str, list[str | UploadFile]]:
    """Return all parts of the form by name, without files that were not chosen."""
    parts: dict[str, list[str | UploadFile]] = {}
    for name, part in form.multi_items():
        if not _is_no_file(part):
            parts.setdefault(name, []).append(part)
    return parts


def _is_no_file(part: str | UploadFile) -> bool:
    """Return whether a part is an empty file without a name: browsers send that for an input without a file."""
    if isinstance(part, str) or part.filename:
        return False
    empty = not part.read(1)
    part.file.seek(0)
    return empty


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema without null, which forms cannot say."""
    made = {name: of for name, of in schema.items() if not (name == "default" and of is None)}
    for name in ("anyOf", "oneOf"):
        left = [part for part in made.get(name, ()) if part.get("type") != "null"]
        if len(left) == 1:
            made = {**left[0], **{key: of for key, of in made.items() if key != name}}
        elif left:
            made[name] = left
    return made
