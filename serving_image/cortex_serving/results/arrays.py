"""Converts arrays, tensors and their scalars (numpy, torch, TensorFlow, JAX ...) into values that orjson writes.

No library is imported here: numpy is looked up among the modules that the predictor has imported.
"""

from __future__ import annotations

import sys
from typing import Any


def to_numpy(value: Any) -> Any:
    """Return an array, tensor or scalar as numpy's; None for any other value.

    Args:
        value: Any value.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return value
    if isinstance(value, type):
        return None
    if all(hasattr(value, name) for name in ("detach", "cpu", "numpy")):
        return _of_torch(value)
    if hasattr(value, "__array__") and hasattr(value, "shape") and hasattr(value, "dtype"):
        return numpy.asarray(value)
    return None


def _of_torch(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if getattr(tensor, "is_sparse", False):
        tensor = tensor.to_dense()
    try:
        return tensor.numpy()
    except TypeError:  # numpy has no such numbers: bfloat16, for example
        return tensor.float().numpy()


def for_orjson(array: Any) -> Any:
    """Convert an array or scalar of numpy into a value that orjson writes (with ``OPT_SERIALIZE_NUMPY``).

    orjson writes contiguous arrays of numbers by itself, float32 with as few digits as float32 needs. Arrays of numbers
    stay arrays here, so that slices, big-endian arrays and scalars look the same.

    Args:
        array: An array or scalar of numpy.

    Returns:
        A contiguous array of numbers, or values of Python (which orjson may ask about in turn).
    """
    numpy: Any = sys.modules["numpy"]
    kind = array.dtype.kind
    if isinstance(array, numpy.ma.MaskedArray):
        return None if array.ndim == 0 and array.mask else list(array)
    if kind == "M":
        return _datetimes(numpy, array)
    if kind == "m":
        return for_orjson(array / numpy.timedelta64(1, "s"))  # seconds, as of datetime.timedelta; NaT becomes NaN
    if array.dtype.names is not None:
        return _records(array)
    if kind not in "biuf":
        return array.tolist()
    if kind == "f" and array.dtype.itemsize > 8:  # long doubles
        array = array.astype(numpy.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array[()] if array.ndim == 0 else numpy.ascontiguousarray(array)


def _datetimes(numpy: Any, array: Any) -> Any:
    """Convert times into ``datetime``, to the microsecond; NaT into None; years beyond 9999 into text."""
    listed = array.astype("datetime64[us]").tolist()
    if _has_integers(listed):
        listed = numpy.datetime_as_string(array).tolist()
        return _without_nat(listed)
    return listed


def _has_integers(listed: Any) -> bool:
    """Return whether a time was out of the range of ``datetime``: numpy returns a bare number for it."""
    return any(map(_has_integers, listed)) if isinstance(listed, list) else isinstance(listed, int)


def _without_nat(listed: Any) -> Any:
    if isinstance(listed, list):
        return [_without_nat(item) for item in listed]
    return None if listed == "NaT" else listed


def _records(array: Any) -> Any:
    """Convert a structured array into dicts by field."""
    if array.ndim:
        return [_records(item) for item in array]
    return {name: array[name] for name in array.dtype.names}
