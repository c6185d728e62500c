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
_QUANTITY = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,2})|([numkKMGTPE]|[KMGTPE]i))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FACTORS = {suffix: Fraction(10) ** power for suffix, power in _DECIMAL.items()}
_FACTORS |= {f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}


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


def parse_quantity(text: str) -> Fraction:
    """Parse a quantity of Kubernetes: a number, perhaps with an exponent or a suffix (``129e6``, ``200m``, ``2Gi``).

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/; ``K`` is Cortex's.

    Args:
        text: The quantity.

    Returns:
        Its value, not negative.

    Raises:
        ValueError: The text is no quantity.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= LONGEST else None
    if not match:
        raise ValueError("not a quantity")
    factor = Fraction(10) ** int(match[2]) if match[2] else _FACTORS.get(match[3], Fraction(1))
    return Fraction(match[1]) * factor


def parse_size(value: Any) -> int:
    """Parse a size.

    Fractions of a byte are rounded up.

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
    elif isinstance(value, str):
        size = math.ceil(parse_quantity(value))
    if size is None or size <= 0:
        raise ValueError("not a size")
    return size
