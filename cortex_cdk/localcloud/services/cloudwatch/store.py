"""Keeps the metrics of one region: datapoints by second at first, by minutes and hours later, as CloudWatch does."""

from __future__ import annotations

import logging
import math
import pickle
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

Key = tuple[str, str, tuple[tuple[str, str], ...]]

TIERS = ((15 * 60, 1), (3 * 3600, 60), (24 * 3600, 300), (15 * 24 * 3600, 3600))
"""Pairs of an age and the resolution up to that age, both in seconds. Older datapoints are dropped."""
STORED_EVERY = 60.0
"""Seconds between two copies for snapshots. A killed daemon forgets the datapoints of that time."""
SIGNIFICANT_DIGITS = 3
"""How exactly the values for percentiles are kept."""


@dataclass
class Bucket:
    """The measured values of one span of time."""

    count: float = 0.0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    values: Counter[float] = field(default_factory=Counter)

    def add(self, value: float, count: float = 1.0) -> None:
        """Add a value that was measured ``count`` times."""
        self.count += count
        self.total += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.values[_rounded(value)] += int(count)

    def merge(self, other: Bucket) -> None:
        """Add the values of another bucket."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.values.update(other.values)

    def statistic(self, name: str) -> float:
        """Return one statistic, by CloudWatch's name (``Sum``, ``p99`` ...).

        Raises:
            ValueError: There is no such statistic.
        """
        if name == "Average":
            return self.total / self.count
        simple = {"Sum": self.total, "SampleCount": self.count, "Minimum": self.minimum, "Maximum": self.maximum}
        if name in simple:
            return simple[name]
        if name.startswith("p"):
            return self._percentile(float(name[1:]))
        raise ValueError(f"unknown statistic {name}")

    def _percentile(self, percent: float) -> float:
        """Return the smallest value that is not exceeded by at least this percentage of the values."""
        needed = percent / 100 * sum(self.values.values())
        seen = 0
        for value in sorted(self.values):
            seen += self.values[value]
            if seen >= needed:
                return value
        return self.maximum


@dataclass
class Series:
    """The buckets of one metric, by the second of their beginning."""

    unit: str | None = None
    buckets: dict[int, Bucket] = field(default_factory=dict)


class MetricStore:
    """All metrics of a region. Callers hold the lock.

    The store is part of the account's snapshots, of which there are many a minute. The store's part is made anew once a
    minute only, so that a snapshot does not take longer the more was measured.
    """

    def __init__(self) -> None:
        self.series: dict[Key, Series] = {}
        self._stored = b""
        self._stored_at = -math.inf

    def __getstate__(self) -> bytes:
        if time.monotonic() - self._stored_at > STORED_EVERY:
            self._stored, self._stored_at = pickle.dumps(self.series), time.monotonic()
        return self._stored

    def __setstate__(self, state: bytes) -> None:
        self.__init__()  # type: ignore[misc]
        try:
            self.series = pickle.loads(state)  # noqa: S301 - a part of the snapshot, which is trusted as a whole
        except Exception as error:
            # Another version's classes. Charts begin anew, but the rest of the account must not be lost for them.
            logger.warning("the metrics that were stored cannot be read: %s: %s", type(error).__name__, error)

    def outdate(self) -> None:
        """Let the next snapshot contain all datapoints until then."""
        self._stored_at = -math.inf

    def add(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        values: Iterable[tuple[float, float]],
        *,
        at: float | None = None,
        unit: str | None = None,
    ) -> None:
        """Add measured values.

        Args:
            namespace: The metric's namespace.
            name: Its name.
            dimensions: Its dimensions.
            values: Pairs of a value and its count.
            at: When, in seconds since the epoch; now by default.
            unit: CloudWatch's unit.
        """
        measured = Bucket()
        for value, count in values:
            measured.add(value, count)
        self.merge(key(namespace, name, dimensions), measured, at=at, unit=unit)

    def merge(self, metric: Key, measured: Bucket, *, at: float | None = None, unit: str | None = None) -> None:
        """Add the measured values of a span of time.

        Args:
            metric: See ``key``.
            measured: Values and their totals.
            at: When, in seconds since the epoch; now by default.
            unit: CloudWatch's unit.
        """
        series = self.series.setdefault(metric, Series())
        series.unit = unit or series.unit
        series.buckets.setdefault(int(time.time() if at is None else at), Bucket()).merge(measured)

    def between(
        self, metric: Key, start: float, end: float, period: float, *, not_before: float = -math.inf
    ) -> dict[float, Bucket]:
        """Return the buckets of a metric, merged into periods.

        Args:
            metric: See ``key``.
            start: First second; periods are counted from it.
            end: The second after the last one.
            period: Length of a period in seconds.
            not_before: Leave out what was measured before that second, as far as datapoints are kept so exactly.

        Returns:
            Buckets by the start of their period, in order, without periods that have no data.
        """
        merged: dict[float, Bucket] = {}
        series = self.series.get(metric, Series())
        now = time.time()
        seconds = [second for second in series.buckets if start <= second < end]
        if not_before > start:
            seconds = [second for second in seconds if _ends(second, now) > not_before]
        for second in sorted(seconds):
            begin = start + (second - start) // period * period
            merged.setdefault(begin, Bucket()).merge(series.buckets[second])
        return merged

    def newest(
        self, metric: Key, statistic: str, *, period: float, count: int, overlap: float = 0.0
    ) -> list[float | None]:
        """Return the newest values of a metric.

        Args:
            metric: See ``key``.
            statistic: Such as ``Average``.
            period: Seconds that one value stands for.
            count: How many values.
            overlap: Seconds before its period that a value also covers.

        Returns:
            The values of the last complete periods, the newest last; None for a period without data.
        """
        end = time.time() // period * period
        values: list[float | None] = []
        for number in range(count):
            begin = end - (count - number) * period - overlap
            found = self.between(metric, begin, begin + overlap + period, overlap + period)
            values.append(next((bucket.statistic(statistic) for bucket in found.values()), None))
        return values

    def forget_after(self, moment: float) -> None:
        """Drop what was measured from a moment on.

        Args:
            moment: In seconds since the epoch.
        """
        for series in self.series.values():
            series.buckets = {second: bucket for second, bucket in series.buckets.items() if second < moment}

    def compact(self, now: float) -> None:
        """Merge old buckets into longer ones and drop the oldest."""
        for metric, series in list(self.series.items()):
            series.buckets = _compacted(series.buckets, now)
            if not series.buckets:
                del self.series[metric]


def key(namespace: str, name: str, dimensions: Mapping[str, str]) -> Key:
    """Return the key of a metric. The order of dimensions does not matter."""
    return namespace, name, tuple(sorted(dimensions.items()))


def _compacted(buckets: Mapping[int, Bucket], now: float) -> dict[int, Bucket]:
    result: dict[int, Bucket] = {}
    for second in sorted(buckets):
        resolution = next((length for age, length in TIERS if now - second <= age), None)
        if resolution is None:
            continue
        begin = second // resolution * resolution
        if begin in result:
            result[begin].merge(buckets[second])
        else:
            result[begin] = buckets[second]
    return result


def _ends(second: int, now: float) -> int:
    """Return when the span of a stored bucket ends, at the latest."""
    resolution = next((length for age, length in TIERS if now - second <= age), TIERS[-1][1])
    return second + (resolution if second % resolution == 0 else 1)


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
