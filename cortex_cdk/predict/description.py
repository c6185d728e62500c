"""What an API takes, read from the OpenAPI document that it serves.

The document is that of ``cortex_serving.api.openapi``. APIs whose predictor has a type hint for its payload have a
schema that replicas enforce; of others, the schema is that of their sample request, and only says what may be sent.
"""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from cortex_cdk.errors import PayloadError
from cortex_cdk.predict.content_types import BYTES, JSON, URLENCODED
from cortex_cdk.predict.json_schema import Schemas
from cortex_cdk.predict.refusals import schema_hint

PATH = "/openapi.json"
"""Of the document, below the API's endpoint."""
MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class PayloadField:
    """One field of what an API takes.

    Attributes:
        name: Its name.
        type: What it holds, in words: ``number``, ``list of texts``, ``file``.
        required: Whether requests without the field are refused.
        default: What stands in for it, if the schema says so.
        description: What its author says of it.
        is_file: Whether it is a file of a form.
    """

    name: str
    type: str
    required: bool
    default: Any = None
    description: str = ""
    is_file: bool = False


@dataclass(frozen=True)
class Description:
    """What an API takes.

    Attributes:
        name: The API.
        openapi: The whole document.
    """

    name: str
    openapi: Mapping[str, Any]

    def __repr__(self) -> str:
        types = " or ".join(self.content_types)
        return "\n".join([f"<what {self.name} takes{f', as {types}' if types else ''}>", *self.table()])

    @property
    def enforced(self) -> bool:
        """Whether replicas check payloads against the schema; else it is that of a sample."""
        return bool(self._request.get("required"))

    @property
    def is_known(self) -> bool:
        """Whether anything is known of what it takes: replicas pass on everything else, too, as pictures and texts."""
        return self.enforced or bool(self.schema)

    @property
    def content_types(self) -> Sequence[str]:
        """What requests may be, such as ``application/json`` and ``multipart/form-data``."""
        return tuple(self._contents)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a payload; empty where nothing is known. Definitions are under ``$defs``."""
        media: Mapping[str, Any] = self._contents.get(JSON) or next(iter(self._contents.values()), {})
        return self._schemas.alone(media.get("schema", {}))

    @property
    def example(self) -> Any:
        """A request, from the project's ``sample.json``; None where there is none."""
        return self._contents.get(JSON, {}).get("example")

    @property
    def made_up(self) -> Any:
        """A value that fits the schema of a JSON request; None where there is no such schema."""
        schema = self._contents.get(JSON, {}).get("schema")
        return self._schemas.example(schema) if schema else None

    @cached_property
    def fields(self) -> Sequence[PayloadField]:
        """The fields of a payload that is an object; of other payloads none."""
        schema = self._fields_schema
        required = schema.get("required", ())
        return tuple(
            PayloadField(
                name=name,
                type=self._schemas.words(of),
                required=name in required,
                default=of.get("default"),
                description=of.get("description", ""),
                is_file=self._schemas.words(of) in ("file", "list of files"),
            )
            for name, of in schema.get("properties", {}).items()
        )

    @property
    def sends_form(self) -> bool:
        """Whether a payload with fields must be sent as a form, as it has files."""
        return JSON not in self._contents and any(kind in self._contents for kind in (MULTIPART, URLENCODED))

    @property
    def takes_file(self) -> bool:
        """Whether the body may be a file."""
        return any(kind not in (JSON, MULTIPART, URLENCODED) for kind in self._contents)

    def as_json(self) -> dict[str, Any]:
        """What ``cortex predict --schema -o json`` prints."""
        return {
            "api": self.name,
            "enforced": self.enforced,
            "content_types": list(self.content_types),
            "fields": [asdict(field) for field in self.fields],
            "schema": self.schema,
            "example": self.example,
        }

    def table(self) -> Iterator[str]:
        """Yield what a request has, in aligned lines for people: fields, what they hold, whether they must be there."""
        if not self.is_known:
            yield f"what {self.name} takes is up to its predictor, which gets JSON, forms, texts and files alike"
            yield "(it has no type hint for the structure of its payload, and its project no sample.json)"
            return
        rows = [(field.name, field.type, _remark(field, enforced=self.enforced)) for field in self.fields]
        if not rows:
            yield f"takes: {self._value_words()}"
            return
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, kind, remark in rows:
            yield f"{name:{widths[0]}}  {kind:{widths[1]}}  {remark}".rstrip()
        if not self.enforced:
            yield "(as in its sample request: its predictor has no type hint, so that other requests may be right, too)"

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse fields that the API does not know, and a request that lacks some.

        Where the schema is only that of a sample, other fields may be right, too: of these, only those that look like a
        mistyped one are refused.

        Args:
            given: Values by field.

        Raises:
            PayloadError: The fields are not those of the schema.
        """
        if self.enforced and not self.fields and self._takes_objects:
            return  # of several kinds: the replica knows which
        known = [field.name for field in self.fields]
        missing = [field for field in self.fields if field.required and field.name not in given]
        problems = []
        for name in given:
            if name in known or (self.enforced and self._open):
                continue
            left = [each for each in known if each not in given]
            close = next(iter(difflib.get_close_matches(name, left, n=1)), None)
            if self.enforced or close:
                problems.append(f"{self.name} takes no {name}" + (f": did you mean {close}?" if close else ""))
        problems += [f"{field.name} ({field.type}) is missing" for field in missing]
        if problems:
            takes = ", ".join(known) or "a value, and no fields"
            raise PayloadError(problems[0], details=[*problems[1:], f"it takes: {takes}"], hint=schema_hint(self.name))

    def _value_words(self) -> str:
        """What a payload without fields is."""
        kinds = [kind for kind in self._contents if kind != JSON]
        schema = self._contents.get(JSON, {}).get("schema")
        words = [self._schemas.words(schema)] if schema else ["any JSON"] if JSON in self._contents else []
        return " or ".join([*words, *("a file" if kind == BYTES else kind for kind in kinds)]) or "any body"

    @property
    def _request(self) -> Mapping[str, Any]:
        operations: Mapping[str, Any] = next(iter(self.openapi.get("paths", {}).values()), {})
        found: Mapping[str, Any] = operations.get("post", {}).get("requestBody", {})
        return found

    @property
    def _contents(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._request.get("content", {})
        return found

    @cached_property
    def _schemas(self) -> Schemas:
        return Schemas(self.openapi.get("components", {}).get("schemas", {}))

    @property
    def _fields_schema(self) -> Mapping[str, Any]:
        """The schema of an object that the API takes. That of a form comes first, as it has the files, too."""
        for kind in (MULTIPART, JSON, URLENCODED):
            schema = self._schemas.resolved(self._contents.get(kind, {}).get("schema", {}))
            if schema.get("type") == "object":
                return schema
        return {}

    @property
    def _takes_objects(self) -> bool:
        variants = self._schemas.variants(self._contents.get(JSON, {}).get("schema", {}))
        return JSON in self._contents and any(each.get("type", "object") == "object" for each in variants)

    @property
    def _open(self) -> bool:
        return bool(self._fields_schema.get("additionalProperties"))


def _remark(field: PayloadField, *, enforced: bool) -> str:
    if field.required:
        condition = "required"
    elif field.default is not None:
        condition = f"default {field.default!r}"
    else:
        condition = "optional" if enforced else ""
    return "; ".join(part for part in (condition, field.description) if part)


def command_lines(description: Description) -> Iterator[str]:
    """Yield calls of ``cortex predict`` that the API takes, as people would type them."""
    name = description.name
    example = description.example if description.example is not None else description.made_up
    if example is not None:
        yield f"cortex predict {name} --data {shlex.quote(json.dumps(example, ensure_ascii=False))}"
    elif description.sends_form and description.fields:
        fields = [field for field in description.fields if field.required] or description.fields
        parts = [f"-F {field.name}={'@FILE' if field.is_file else 'VALUE'}" for field in fields]
        yield f"cortex predict {name} {' '.join(parts)}"
    if description.takes_file or not description.is_known:
        yield f"cortex predict {name} FILE"
