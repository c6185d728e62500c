"""Converts values that orjson does not know into values that it knows: arrays, tables, models, sets, dates.

The form of a value does not depend on the container around it: a time, a missing value or a float32 looks the same
alone, in a list, in an array, in a column, and in a table. If several JSON forms are possible, the choice is that of
FastAPI's ``jsonable_encoder``, which users of Cortex know.
"""

from __future__ import annotations

import dataclasses
import math
from collections import UserString
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson

from cortex_serving.results import arrays
from cortex_serving.results.tables import cells, is_column, is_table, rows

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS
"""Options of orjson that ``for_orjson`` expects. orjson would write pydantic's dataclasses without their aliases."""


def for_orjson(value: Any) -> Any:
    """Convert one value into a simpler one, which may hold further values to convert (the ``default`` of orjson).

    Args:
        value: A value that orjson does not know.

    Returns:
        A value that orjson writes with ``OPTIONS``; possibly an array of numpy.

    Raises:
        TypeError: The value has no form in JSON.
    """
    if not isinstance(value, type):
        if hasattr(value, "model_dump"):  # checked first, because lists of models are common
            return _model(value.model_dump)
        for fits, convert in _CONVERTERS:
            if fits(value):
                return convert(value)
        array = arrays.to_numpy(value)
        if array is not None:
            return arrays.for_orjson(array)
        if hasattr(value, "tolist"):  # arrays without numpy
            return value.tolist()
    raise TypeError(f"{_named(value)} has no form in JSON")


def for_json(value: Any) -> Any:
    """Convert one value as ``for_orjson`` does, but never into an array (the ``default`` of ``json.dumps``).

    Args:
        value: A value that ``json`` does not know.

    Raises:
        TypeError: The value has no form in JSON.
    """
    if isinstance(value, Enum):
        return value.value
    simple = for_orjson(value)
    if isinstance(simple, datetime):
        return simple.isoformat()
    return simple if arrays.to_numpy(simple) is None else orjson.loads(orjson.dumps(simple, option=OPTIONS))


def _named(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _model(dump: Callable[..., Any]) -> Any:
    """Dump a pydantic model under the names that clients see (``serialization_alias``, ``alias``), as FastAPI does."""
    try:
        return dump(mode="json", by_alias=True)
    except ValueError:  # pydantic has no JSON for a field, such as an array of numpy, but this module has
        return dump(by_alias=True)


def _dataclass(value: Any) -> dict[str, Any]:
    """Return the public fields of a dataclass; not ``asdict``, which copies deeply."""
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is not None:
        found: dict[str, Any] = _model(lambda **options: serializer.to_python(value, **options))
        return found
    names = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]
    return {name: getattr(value, name) for name in names}


def _text(value: Any) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise TypeError("bytes inside JSON must be UTF-8 text: encode others with base64") from error


def _decimal(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _time(value: Any) -> Any:
    """Convert a time; those of pandas to the microsecond, as times in arrays; NaT into None."""
    if value != value:  # noqa: PLR0124 - only NaT is not equal to itself
        return None
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value.isoformat()


def _set(value: Any) -> list[Any]:
    """Return the items of a set in order if they have one, so that answers do not differ between processes."""
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


_CONVERTERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (_is(datetime, date, time), _time),
    (_is(timedelta), timedelta.total_seconds),
    (dataclasses.is_dataclass, _dataclass),
    (_is(bytes, bytearray, memoryview), _text),
    (_is(UserString), str),
    (_is(set, frozenset), _set),
    (_is(Mapping), dict),
    (_is(Sequence, Set, ValuesView), list),
    (is_table, rows),
    (is_column, cells),
    (lambda value: hasattr(value, "__fields__") and hasattr(value, "dict"), lambda old: old.dict(by_alias=True)),
    (_is(Decimal), _decimal),
    (_is(PurePath, UUID, IPv4Address, IPv6Address), str),
    (_is(float), float),
    (lambda value: type(value).__name__ == "NAType", lambda _: None),  # pandas.NA
)


def convert_tree(value: Any) -> Any:
    """Convert a value into dicts with text keys, lists, text, finite numbers, booleans and None, all the way down.

    This is slow, and only for values that neither orjson nor ``json.dumps`` takes: keys of other libraries' types,
    integers beyond 64 bits together with NaN.

    Args:
        value: The value.

    Raises:
        TypeError: Something in the value has no form in JSON.
        RecursionError: The value contains itself.
    """
    if isinstance(value, Enum):
        return convert_tree(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, dict):
        return {_key(key): convert_tree(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [convert_tree(item) for item in value]
    return convert_tree(for_json(value))


def check_keys(value: Any) -> None:
    """Refuse dicts that would lose an entry in JSON, where all keys are text: ``{1: "a", "1": "b"}``.

    Args:
        value: Any value. Dicts are found in dicts, lists and tuples.

    Raises:
        TypeError: Two keys of a dict have the same text.
    """
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value) and any(isinstance(key, str) for key in value):
            _check_different(value)
        for item in value.values():
            check_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_keys(item)


def _check_different(value: dict[Any, Any]) -> None:
    seen: set[str] = set()
    for key in value:
        text = _key(key)
        if text in seen:
            raise TypeError(f"a dict has two keys that are {text!r} in JSON")
        seen.add(text)


def _key(key: Any) -> str:
    """Convert a key into text, as orjson writes keys."""
    if isinstance(key, (tuple, frozenset)):
        raise TypeError(f"a dict has the key {key!r}: keys must be text, numbers, dates or None")
    simple = convert_tree(key)
    if isinstance(simple, (dict, list)):
        raise TypeError(f"a dict has a {type(key).__name__} as key: keys must be text, numbers, dates or None")
    if isinstance(simple, str):
        return simple
    if simple is None or isinstance(simple, bool):
        return {None: "null", True: "true", False: "false"}[simple]
    return float.__repr__(simple) if isinstance(simple, float) else int.__repr__(simple)
