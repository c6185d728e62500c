"""Which series belong into one plot, in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cortex_cdk.status.series import Measurements, Series, in_words


@dataclass(frozen=True)
class Panel:
    """A plot of one or more measures with the same unit.

    Attributes:
        title: What is plotted; ``{period}`` stands for the length of a period.
        measures: Names of series, and what each is called here. Where they lie above each other, the lowest first.
        unit: What follows a number: ``ms``, ``%`` or nothing.
        stacks: Whether the measures add up, rather than each being larger than the one before.
        optional: Whether there is no plot where nothing was measured.
    """

    title: str
    measures: tuple[tuple[str, str], ...]
    unit: str = ""
    stacks: bool = False
    optional: bool = False

    def series(self, measurements: Measurements, api: str) -> list[tuple[str, Series]]:
        """Return the series of one API with their names here."""
        return [(label, measurements.of(name, api)) for name, label in self.measures]

    def titled(self, period: timedelta) -> str:
        """Return the title, for periods of that length."""
        return self.title.format(period=in_words(period))


PANELS = (
    Panel("requests in {period}", (("requests", ""),)),
    Panel("errors in {period}", (("5xx", "5XX"), ("4xx", "4XX")), stacks=True),
    Panel("latency", (("p50_latency_ms", "p50"), ("p90_latency_ms", "p90"), ("p99_latency_ms", "p99")), "ms"),
    Panel("in flight in a replica", (("in_flight", ""),)),
    Panel("requests in a batch", (("batch_size", ""),), optional=True),
    Panel("time in queue", (("p50_queue_ms", "p50"), ("p99_queue_ms", "p99")), "ms"),
    Panel("healthy replicas", (("replicas", ""),)),
    Panel("CPU of what is reserved", (("cpu_percent", ""),), "%", optional=True),
    Panel("memory of what is reserved", (("memory_percent", ""),), "%", optional=True),
)


def panels_of(measurements: Measurements) -> Sequence[Panel]:
    """Return the panels that are worth showing."""
    return [
        panel
        for panel in PANELS
        if not panel.optional
        or any(series.measured for api in measurements.apis for _, series in panel.series(measurements, api))
    ]
