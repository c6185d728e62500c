"""Parses durations, CPUs, sizes and shares, which are written as in Go and Kubernetes, into numbers.

Each parser also takes its own result, so that models round trip.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import BeforeValidator

from cortex_cdk.config.model import Allowed

_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_CPU = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(m?)")
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(k|K|M|G|T|Ki|Mi|Gi|Ti)?")
_PERCENT = re.compile(r"([0-9]{1,3})%")
_BYTES = {None: 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_LONGEST = 64  # Characters. No sensible quantity is longer, and the arithmetic below stays cheap.

SMALLEST_CPU = 0.02


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
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise ValueError("not a duration")
    parts = _DURATION_PART.findall(value)
    if "".join(number + unit for number, unit in parts) != value:
        raise ValueError("not a duration")
    return float(sum(Fraction(number) * Fraction(_UNITS[unit]) for number, unit in parts))


def parse_cpu(value: Any) -> float:
    """Parse a number of virtual CPUs.

    Source: Kubernetes' CPU quantities, https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/;
    the smallest is Cortex's (reference ``cortex.md`` 2.1).

    Args:
        value: ``200m`` (thousandths), ``"0.2"`` or a number.

    Returns:
        Virtual CPUs, at least 0.02.

    Raises:
        ValueError: The value is no number of CPUs, or too small.
    """
    cpu = _number(value)
    if cpu is None and isinstance(value, str) and len(value) <= _LONGEST:
        match = _CPU.fullmatch(value)
        cpu = float(Fraction(match[1]) / (1000 if match[2] else 1)) if match else None
    if cpu is None or cpu < SMALLEST_CPU:
        raise ValueError("not a CPU quantity")
    return cpu


def parse_size(value: Any) -> int:
    """Parse a size.

    Args:
        value: ``512Mi``, ``2G`` or a whole number of bytes.

    Returns:
        Bytes, at least 1.

    Raises:
        ValueError: The value is no size, or zero.
    """
    size: int | None = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and len(value) <= _LONGEST:
        match = _MEMORY.fullmatch(value)
        # Kubernetes rounds fractions of a byte up.
        size = math.ceil(Fraction(match[1]) * _BYTES[match[2]]) if match else None
    if size is None or size <= 0:
        raise ValueError("not a size")
    return size


def parse_share(value: Any) -> int | str:
    """Parse a number or share of replicas.

    Args:
        value: A number (``2``, ``"2"``), or a share (``25%``).

    Returns:
        The number, or the share as text without leading zeros (``25%``).

    Raises:
        ValueError: The value is neither, negative, or above 100%.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) <= 9:
            return int(value)
        match = _PERCENT.fullmatch(value)
        if match and int(match[1]) <= 100:
            return f"{int(match[1])}%"
    raise ValueError("not a share")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


Duration = Annotated[float, BeforeValidator(parse_duration)]
Cpu = Annotated[float, BeforeValidator(parse_cpu), Allowed("a number of CPUs such as 0.5, 2 or 200m, at least 20m")]
_SIZES = "a size such as 512Mi, 2Gi or 1G (K, M, G, T, Ki, Mi, Gi, Ti)"
Size = Annotated[int, BeforeValidator(parse_size), Allowed(_SIZES)]
# The bound of 20 MiB is Cortex's (reference ``cortex.md`` 2.1).
Memory = Annotated[int, BeforeValidator(parse_size), Ge(20 * 2**20), Allowed(f"{_SIZES}, at least 20Mi")]
Share = Annotated[
    int | str, BeforeValidator(parse_share), Allowed("a number of replicas of at least 0, or a share from 0% to 100%")
]
