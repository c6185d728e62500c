"""The types of fields that are durations, CPUs, sizes and shares, written as in Go and Kubernetes.

Durations and sizes are parsed by the serving program's code (``cortex_serving.formats``), CPUs and shares here. Each
parser also takes its own result, so that models round trip.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge
from cortex_serving.formats.quantities import parse_duration, parse_quantity, parse_size
from pydantic import BeforeValidator

from cortex_cdk.config.model import Allowed

__all__ = [
    "DURATION",
    "Cpu",
    "Duration",
    "Memory",
    "Share",
    "Size",
    "Written",
    "parse_cpu",
    "parse_duration",
    "parse_share",
    "parse_size",
]

_PERCENT = re.compile(r"([0-9]{1,3})%")

SMALLEST_CPU = 0.02


def parse_cpu(value: Any) -> float:
    """Parse a number of virtual CPUs.

    Source: Kubernetes' CPU quantities, https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/;
    the smallest is Cortex's (reference ``cortex.md`` 2.1).

    Args:
        value: ``200m`` (thousandths), ``"0.2"``, ``2e-1`` or a number.

    Returns:
        Virtual CPUs, at least 0.02.

    Raises:
        ValueError: The value is no number of CPUs, or too small.
    """
    cpu = _number(value)
    if cpu is None and isinstance(value, str):
        cpu = float(parse_quantity(value))
    if cpu is None or cpu < SMALLEST_CPU:
        raise ValueError("not a CPU quantity")
    return cpu


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


@dataclass(frozen=True)
class Written:
    """Writes the values of a field as users do (``written.as_written``).

    Attributes:
        write: Makes a text of a value.
        parse: Reads the text.
    """

    write: Callable[[float], str]
    parse: Callable[[Any], float]

    def text(self, value: float) -> str | float:
        """Return the text; the value where no text says exactly that."""
        text = self.write(value)
        with suppress(ValueError):
            return text if self.parse(text) == value else value
        return value


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:g}ms" if seconds else "0s"
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count:.12g}{unit}" for count, unit in parts if count)


def _cpu(number: float) -> str:
    return f"{number:g}" if number.is_integer() else f"{number * 1000:g}m"


def _size(size: float) -> str:
    for factor, mark in ((1024, "i"), (1000, "")):
        for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
            if size and size % factor**power == 0:
                return f"{int(size) // factor**power}{unit}{mark}"
    return f"{int(size)}"


DURATION = Written(_duration, parse_duration)
_SIZE = Written(_size, parse_size)
Duration = Annotated[float, BeforeValidator(parse_duration), DURATION]
Cpu = Annotated[
    float,
    BeforeValidator(parse_cpu),
    Written(_cpu, parse_cpu),
    Allowed("a number of CPUs such as 0.5, 2 or 200m, at least 20m"),
]
_SIZES = "a size such as 512Mi, 2Gi or 1G (K, M, G, T, Ki, Mi, Gi, Ti)"
Size = Annotated[int, BeforeValidator(parse_size), _SIZE, Allowed(_SIZES)]
# The bound of 20 MiB is Cortex's (reference ``cortex.md`` 2.1).
Memory = Annotated[int, BeforeValidator(parse_size), _SIZE, Ge(20 * 2**20), Allowed(f"{_SIZES}, at least 20Mi")]
Share = Annotated[
    int | str, BeforeValidator(parse_share), Allowed("a number of replicas of at least 0, or a share from 0% to 100%")
]
