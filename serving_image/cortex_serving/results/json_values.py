"""Converts values that orjson does not know into values that it knows: arrays, tables, models, sets, dates.

If several JSON forms are possible, the choice is that of FastAPI's ``jsonable_encoder``, which users of Cortex know.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any
from uuid import UUID


def convert_value(value: Any) -> Any:
    """Convert one value into a simpler one, which may hold further values to convert (the ``default`` of orjson).

    Args:
        value: A value that orjson does not know.

    Raises:
        TypeError: The value has no form in JSON.
    """
    if hasattr(value, "model_dump"):  # checked first, because lists of models are common
        try:
            return value.model_dump(mode="json")
        except ValueError:  # fields that pydantic has no JSON for, such as numpy arrays, but we have
            return value.model_dump()
        except TypeError:
            if not isinstance(value, type):
                raise
    if not isinstance(value, type):
        for fits, convert in _CONVERTERS:
            if fits(value):
                return convert(value)
    raise TypeError(f"{_named(value)} has no form in JSON")


def _named(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _array(value: Any) -> Any:
    """Arrays, numbers and columns of numpy, torch and pandas."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("m", "M") and hasattr(value, "astype"):  # of nanoseconds, tolist makes bare integers
        value = value.astype(f"{'timedelta64' if kind == 'm' else 'datetime64'}[us]")
    listed = value.tolist()
    if type(listed) is type(value):  # numbers that Python has no type for, such as long doubles
        return float(listed)
    return listed


def _fields(value: Any) -> dict[str, Any]:
    """Those of a dataclass that orjson writes; not asdict, which copies deeply."""
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


def _date(value: Any) -> str | None:
    return value.isoformat() if value == value else None  # noqa: PLR0124 - pandas' NaT is not itself


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


_CONVERTERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (lambda value: hasattr(value, "tolist"), _array),
    (dataclasses.is_dataclass, _fields),
    (_is(bytes, bytearray, memoryview), _text),
    (_is(Mapping), dict),
    (_is(Sequence, Set, ValuesView), list),
    (lambda value: hasattr(value, "to_dict") and hasattr(value, "columns"), lambda frame: frame.to_dict("records")),
    (lambda value: hasattr(value, "__fields__") and hasattr(value, "dict"), lambda model: model.dict()),  # pydantic.v1
    (_is(Decimal), _decimal),
    (_is(timedelta), timedelta.total_seconds),
    (_is(datetime, date, time), _date),
    (_is(PurePath, UUID, IPv4Address, IPv6Address), str),
    (_is(float), float),
    (lambda value: type(value).__name__ == "NAType", lambda _: None),  # pandas
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
    return convert_tree(convert_value(value))


def _key(key: Any) -> str:
    """A key as text: as orjson writes keys, where it does."""
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
