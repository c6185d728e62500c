"""Parses durations and sizes, which are written as in Go and Kubernetes, into numbers.

Each parser also takes its own result, so that a parsed configuration can be parsed again.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

LONGEST = 64  # Characters. No sensible quantity is longer, and the arithmetic below stays cheap.
_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:[eE]([+-]?[0-9]{1,2})|(k|K|M|G|T|Ki|Mi|Gi|Ti))?")
_BYTES = {None: 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def parse_duration(value: Any) -> float:
    """Parse a duration.

    Source: Go's ``time.ParseDuration``, https://pkg.go.dev/time#ParseDuration.

    Args:
        value: Text such as ``1h30m`` or ``250ms``, or a number of seconds.

    Returns:
        Seconds.

    Raises:
        ValueError: The value is no duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if value == "0":
        return 0.0
    if not isinstance(value, str) or not value or len(value) > LONGEST:
        raise ValueError("not a duration")
    parts = _DURATION_PART.findall(value)
    if "".join(number + unit for number, unit in parts) != value:
        raise ValueError("not a duration")
    return float(sum(Fraction(number) * Fraction(_UNITS[unit]) for number, unit in parts))


def parse_size(value: Any) -> int:
    """Parse a size.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/; fractions of a byte are
    rounded up.

    Args:
        value: ``512Mi``, ``2G``, ``129e6`` or a whole number of bytes.

    Returns:
        Bytes, at least 1.

    Raises:
        ValueError: The value is no size, or zero.
    """
    size: int | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        size = int(value) if float(value).is_integer() else None
    elif isinstance(value, str) and len(value) <= LONGEST:
        match = _SIZE.fullmatch(value)
        if match:
            factor = Fraction(10) ** int(match[2]) if match[2] else _BYTES[match[3]]
            size = math.ceil(Fraction(match[1]) * factor)
    if size is None or size <= 0:
        raise ValueError("not a size")
    return size
