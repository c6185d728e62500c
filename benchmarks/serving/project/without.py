"""What a feature costs: leaves it out of the worker that loads the benchmark's predictor.

``BENCH_WITHOUT`` names it. For the benchmark only: these features have no switch, and nobody should want one.
"""

from __future__ import annotations

import os


def leave_out(feature: str) -> None:
    """Replace a feature by nothing."""
    if feature == "metrics":
        from cortex_serving.metrics.telemetry import Counters

        Counters.requests = lambda self, exchanges: None  # type: ignore[method-assign]
    elif feature == "server-timing":
        from cortex_serving.request_context import Exchange

        Exchange.server_timing = lambda self: ""  # type: ignore[method-assign]  # an empty header is still sent
    elif feature:
        raise ValueError(f"BENCH_WITHOUT={feature}: known are metrics and server-timing")


leave_out(os.environ.get("BENCH_WITHOUT", ""))
