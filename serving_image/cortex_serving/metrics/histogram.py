"""A distribution in bounded memory: exact count, sum, minimum and maximum, values within five percent."""

from __future__ import annotations

import math
from typing import Any

_GROWTH = 1.1  # neighbouring buckets differ by this factor: a value is off by at most half of it
_PER_LOG = 1 / math.log(_GROWTH)
_SHIFT = 10_000.5  # makes bucket numbers positive, so that cutting off the fraction rounds to the nearest
MAX_VALUES = 100  # that EMF takes for a metric


class Histogram:
    """Values of one metric since the last report. Not synchronized: its owner holds a lock."""

    __slots__ = ("_buckets", "_others", "_zeros", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}  # logarithm -> how many positive values
        self._others: dict[int, int] = {}  # the same for negative values
        self._zeros = 0
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    def add(self, *values: float) -> None:
        """Count values; NaN and infinities are ignored."""
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
        """The distribution as EMF takes it: values with counts, and exact totals."""
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
    """Neighbours joined two by two, at their mean."""
    merged = []
    for start in range(0, len(pairs), 2):
        group = pairs[start : start + 2]
        count = sum(number for _, number in group)
        merged.append((sum(value * number for value, number in group) / count, count))
    return merged
