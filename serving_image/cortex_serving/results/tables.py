"""Converts columns and tables (pandas, polars, pyarrow) into lists, and splits the result of a batch into its entries.

No library is imported here: columns and tables are recognized by their methods.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from typing import Any

from cortex_serving.errors import UnsupportedResult
from cortex_serving.results.arrays import for_orjson, to_numpy

ALLOWED_BATCHES = "a list, tuple, array, Series or DataFrame with one entry for each request"


def is_table(value: Any) -> bool:
    """Return whether a value is a table with named columns."""
    if isinstance(value, type):
        return False
    names = ("columns", "iloc"), ("get_columns", "to_dicts"), ("column_names", "to_pylist")
    return any(all(hasattr(value, name) for name in pair) for pair in names)


def is_column(value: Any) -> bool:
    """Return whether a value is a column of a table, or an index."""
    if isinstance(value, type) or is_table(value):
        return False
    pairs = ("to_numpy", "tolist"), ("to_numpy", "to_list"), ("to_pylist", "type")
    return any(all(hasattr(value, name) for name in pair) for pair in pairs)


def rows(table: Any) -> list[dict[Any, Any]]:
    """Return the rows of a table, as dicts by column.

    Args:
        table: A DataFrame of pandas or polars, or a table of pyarrow.

    Raises:
        TypeError: Two columns have the same name, so that a dict would lose one.
    """
    names = list(getattr(table, "column_names", None) or table.columns)
    twice = next((name for name, count in Counter(map(str, names)).items() if count > 1), None)
    if twice is not None:
        raise TypeError(f"two columns of the table are called {twice!r}: give each column a name of its own")
    if hasattr(table, "iloc"):
        columns = [table.iloc[:, index] for index in range(len(names))]
    else:
        columns = table.get_columns() if hasattr(table, "get_columns") else table.columns
    return [dict(zip(names, row, strict=True)) for row in zip(*map(cells, columns), strict=True)]


def cells(column: Any) -> Any:
    """Return the cells of a column: a list, or a contiguous array of numbers.

    Args:
        column: A Series or Index of pandas, a Series of polars, or an array of pyarrow.
    """
    numpy: Any = sys.modules.get("numpy")
    kind: Any = getattr(column, "dtype", getattr(column, "type", None))
    if numpy is not None and isinstance(kind, numpy.dtype):
        return for_orjson(column.to_numpy())
    method = next(name for name in ("tolist", "to_list", "to_pylist") if hasattr(column, name))
    listed: list[Any] = getattr(column, method)()
    if numpy is not None and _has_single_precision(kind):
        return [numpy.float32(cell) if isinstance(cell, float) else cell for cell in listed]
    return listed


def _has_single_precision(kind: Any) -> bool:
    """Return whether a column's numbers are of single precision: as float64, 0.9 would become 0.8999999761581421."""
    name = str(getattr(kind, "numpy_dtype", kind)).lower()
    return name in {"float32", "float", "float16", "halffloat"}


def split_batch(result: Any, size: int) -> list[Any]:
    """Return the entries of a batch's result, in the order of the requests.

    Only values whose entries have an order and a meaning can be split: iterating over a DataFrame would yield the names
    of its columns, over a set any order, over text its characters.

    Args:
        result: The value that ``predict`` returned for a batch.
        size: Number of requests in the batch.

    Raises:
        UnsupportedResult: The value cannot be split, or has another number of entries.
    """
    try:
        entries = _entries(result)
    except TypeError as error:
        raise UnsupportedResult(f"with batching, predict returned {type(result).__name__}: {error}") from error
    if entries is None:
        raise UnsupportedResult(
            f"with batching, predict must return {ALLOWED_BATCHES}, not {type(result).__name__}",
        )
    if len(entries) != size:
        raise UnsupportedResult(f"predict returned {len(entries)} values for a batch of {size}")
    return entries


def _entries(result: Any) -> list[Any] | None:
    if isinstance(result, (list, tuple)) and not hasattr(result, "_fields"):
        return list(result)
    if is_table(result):
        return list(rows(result))
    if is_column(result):
        return list(cells(result))
    if isinstance(result, array):
        return list(result)
    found = to_numpy(result)
    if found is None or not found.ndim:
        return None
    return list(for_orjson(found) if found.dtype.kind in "mM" or found.dtype.names is not None else found)
