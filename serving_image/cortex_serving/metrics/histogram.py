"""Keeps a distribution in bounded memory: count, sum, minimum and maximum are exact, values are within five percent."""

from __future__ import annotations

import math
from typing import Any

_GROWTH = 1.1  # factor between neighbouring buckets: a value is off by at most five percent
_PER_LOG = 1 / math.log(_GROWTH)
_SHIFT = 10_000.5  # makes bucket numbers positive, so that int() rounds to the nearest
MAX_VALUES = 100  # of a metric in the embedded metric format


class Histogram:
    """The values of one metric since the last report. Not synchronized: the owner must hold a lock."""

    __slots__ = ("_buckets", "_others", "_zeros", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}  # bucket number -> count of positive values
        self._others: dict[int, int] = {}  # the same, of negative values
        self._zeros = 0
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    def add(self, *values: float) -> None:
        """Add values; NaN and infinities are ignored."""
        counted = [value for value in values if math.isfinite(value)]
        if not counted:
            return
        self._count(self._buckets, [value for value in counted if value > 0])
        self._count(self._others, [-value for value in counted if value < 0])
        self._zeros += counted.count(0)
        self.count += len(counted)
        self.total += sum(counted)
        self.minimum = min(self.minimum, *counted)
        self.maximum = max(self.maximum, *counted)

    @staticmethod
    def _count(buckets: dict[int, int], values: list[float]) -> None:
        for value in values:
            bucket = int(math.log(value) * _PER_LOG + _SHIFT)
            buckets[bucket] = buckets.get(bucket, 0) + 1

    def report(self) -> dict[str, Any]:
        """Return the distribution as the embedded metric format has it: values with counts, and exact totals."""
        pairs = [(_middle(bucket), count) for bucket, count in self._buckets.items()]
        pairs += [(-_middle(bucket), count) for bucket, count in self._others.items()]
        if self._zeros:
            pairs.append((0.0, self._zeros))
        pairs.sort()
        while len(pairs) > MAX_VALUES:
            pairs = _merged(pairs)
        return {
            "Values": [min(max(value, self.minimum), self.maximum) for value, _ in pairs],
            "Counts": [count for _, count in pairs],
            "Min": self.minimum,
            "Max": self.maximum,
            "Sum": self.total,
            "Count": self.count,
        }


def _middle(bucket: int) -> float:
    return math.exp((bucket - int(_SHIFT)) / _PER_LOG)


def _merged(pairs: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Join neighbours two by two, at their mean."""
    merged = []
    for start in range(0, len(pairs), 2):
        group = pairs[start : start + 2]
        count = sum(number for _, number in group)
        merged.append((sum(value * number for value, number in group) / count, count))
    return merged
