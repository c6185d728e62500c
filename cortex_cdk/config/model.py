"""The base class of all sections, rules between fields, and the words that say which values a field accepts.

Both error messages and the configuration reference take a field's words from here. They come from the field's type and
bounds, or from an ``Allowed`` marker beside the type.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ConfigDict, Strict, ValidationInfo, model_validator
from pydantic.fields import FieldInfo
from typing_extensions import Self

from cortex_cdk.config.document import FieldPath

COLLECT = {"collect": True}
"""Validation context of the loader, which collects conflicts between fields. Without it, the first one is raised."""

Text = Annotated[str, Strict(), MinLen(1)]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]


@dataclass(frozen=True)
class Allowed:
    """Says which values a field accepts, in words that complete the sentence "must be ..."."""

    words: str


@dataclass(frozen=True)
class Shown:
    """Words a field's default for the reference, if the default depends on other fields or reads badly as data."""

    default: str


@dataclass(frozen=True)
class Conflict:
    """Fields that are valid each, but not together.

    Attributes:
        fields: Their paths, relative to the section. Problems are shown at the first one that the user wrote.
        message: What is wrong and what is allowed, completing "<field> ...".
        hint: What to do.
    """

    fields: tuple[FieldPath, ...]
    message: str
    hint: str | None = None

    def below(self, *parent: str | int) -> Conflict:
        """Return the same conflict, its paths relative to the section around this one."""
        return replace(self, fields=tuple((*parent, *path) for path in self.fields))


def or_written_as(*json_types: str) -> Callable[[dict[str, Any]], None]:
    """Let the JSON Schema of a field accept short spellings, which a validator of the field expands.

    Args:
        json_types: The short spellings' types, such as ``array``.
    """

    def add(schema: dict[str, Any]) -> None:
        if "anyOf" not in schema:
            schema["anyOf"] = [{key: schema.pop(key) for key in ("$ref", "type") if key in schema}]
        schema["anyOf"] += ({"type": json_type} for json_type in json_types)

    return add


class Section(BaseModel):
    """A map of the configuration. Refuses unknown keys; ``null`` means "not set"."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_means_unset(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _keep_rules(self, info: ValidationInfo) -> Self:
        if info.context is not COLLECT:
            for conflict in self.rules():
                raise ValueError(f"{'.'.join(map(str, conflict.fields[0]))}: {conflict.message}")
        return self

    def rules(self) -> Iterator[Conflict]:
        """Yield the conflicts between this section's own fields."""
        yield from ()

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the conflicts of this section and of all sections in it."""
        yield from self.rules()
        for name in type(self).model_fields:
            value = getattr(self, name)
            items = enumerate(value) if isinstance(value, tuple) else [(None, value)]
            for index, item in items:
                if isinstance(item, Section):
                    parent = (name,) if index is None else (name, index)
                    yield from (conflict.below(*parent) for conflict in item.conflicts())


def allowed(field: FieldInfo) -> str:
    """Return which values a field accepts, completing "must be ..."."""
    for item in field.metadata:
        if isinstance(item, Allowed):
            return item.words
    return _words(field.annotation, field.metadata)


def allowed_item(field: FieldInfo) -> str:
    """Return which values an item of a list field accepts, completing "must be ..."."""
    for part in (field.annotation, *_optional_parts(field.annotation)):
        if get_origin(part) is tuple:
            return _words(get_args(part)[0], [])
    return "a map"


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the values of a ``Literal`` (possibly optional); empty for other types."""
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    return tuple(choice for part in _optional_parts(annotation) for choice in choices(part))


def section_type(annotation: Any) -> type[Section] | None:
    """Return the class of the section that a field holds (alone, in a list, or optional); None for other fields."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for part in get_args(annotation):
        found = section_type(part)
        if found:
            return found
    return None


def is_list(annotation: Any) -> bool:
    """Return whether a field is a list in YAML."""
    return get_origin(annotation) is tuple or any(is_list(part) for part in _optional_parts(annotation))


def _optional_parts(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(part for part in get_args(annotation) if part is not type(None))
    return ()


def _words(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        marker = next((item for item in more if isinstance(item, Allowed)), None)
        bounds = [bound for item in more for bound in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return marker.words if marker else _words(inner, [*bounds, *metadata])
    parts = _optional_parts(annotation)
    if parts:
        return " or ".join(_words(part, metadata) for part in parts)
    if choices(annotation):
        return _either(choices(annotation))
    if is_list(annotation):
        return f"a list of {_plural(get_args(annotation)[0])}"
    if section_type(annotation) or get_origin(annotation) is dict:
        return "a map"
    return _NOUNS[annotation] + _bounds(metadata)


def _either(values: tuple[str, ...]) -> str:
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last


_NOUNS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _plural(annotation: Any) -> str:
    return "maps" if section_type(annotation) else "values" if annotation is Any else "texts"


def _bounds(metadata: list[Any]) -> str:
    low = next((item for item in metadata if isinstance(item, Ge | Gt)), None)
    high = next((item for item in metadata if isinstance(item, Le | Lt)), None)
    if isinstance(low, Ge) and isinstance(high, Le):
        return f" from {low.ge} to {high.le}"
    words = []
    if low:
        words.append(f"of at least {low.ge}" if isinstance(low, Ge) else f"above {low.gt}")
    if high:
        words.append(f"of at most {high.le}" if isinstance(high, Le) else f"below {high.lt}")
    return " " + " and ".join(words) if words else ""
