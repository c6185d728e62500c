"""Writes values of a configuration as users do: ``512Mi``, ``500m``, ``5m``. Its JSON has bytes, CPUs and seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from cortex_cdk.config.model import Section, section_type
from cortex_cdk.config.quantities import Written


def as_written(section: type[Section], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write the values of a section, and of all sections in it.

    Args:
        section: Its model.
        fields: Its fields, as ``model_dump(mode="json")`` has them; those of another version are left as they are.
    """
    return {name: value_as_written(section, (name,), value) for name, value in fields.items()}


def value_as_written(section: type[Section], path: Sequence[str], value: Any) -> Any:
    """Write one value.

    Args:
        section: The model that has the field.
        path: The field, such as ``("compute", "mem")``.
        value: Its value; what is no quantity is returned as it is.
    """
    field = section.model_fields.get(path[0])
    if field is None:
        return value
    inner = section_type(field.annotation)
    if len(path) > 1:
        return value_as_written(inner, path[1:], value) if inner else value
    if inner:
        if isinstance(value, list):
            return [as_written(inner, item) if isinstance(item, Mapping) else item for item in value]
        return as_written(inner, value) if isinstance(value, Mapping) else value
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return _quantity(field, value)


def _quantity(field: FieldInfo, value: float) -> Any:
    for part in (*field.metadata, *_annotations(field.annotation)):
        if isinstance(part, Written):
            return part.text(value)
    return int(value) if float(value).is_integer() else value


def _annotations(annotation: Any) -> Iterator[Any]:
    """Everything that is said of a type, also of a part of it (``Size | None``)."""
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _annotations(part)
