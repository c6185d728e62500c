"""Prediction monitoring (``monitoring:``): how often each class was predicted, or the distribution of a number."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from cortex_serving.metrics.emf import Metric, emf_line
from cortex_serving.metrics.histogram import Histogram
from cortex_serving.spec import Monitoring

logger = logging.getLogger(__name__)

MAX_CLASSES = 100  # each class is a metric that costs money; later ones are counted together
OTHER = "(other)"


class PredictionMonitor:
    """Counts predictions of one process.

    Args:
        dimensions: Those of the API's metrics.
        monitoring: What to count, and where it is in the response.
    """

    def __init__(self, dimensions: Mapping[str, str], monitoring: Monitoring) -> None:
        self._dimensions = dimensions
        self._monitoring = monitoring
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._classes: dict[str, int] = {}
        self._values = Histogram()
        self._complained: set[str] = set()

    def observe(self, response: Any) -> None:
        """Count a prediction; one that does not fit is only warned about, once for each reason."""
        try:
            value = self._value(response)
        except (KeyError, TypeError, ValueError) as error:
            reason = str(error)
            if reason not in self._complained and len(self._complained) < MAX_CLASSES:
                self._complained.add(reason)
                logger.warning("prediction monitoring: %s", reason)
            return
        with self._lock:
            if isinstance(value, str):
                self._count_class(value)
            else:
                self._values.add(value)

    def lines(self) -> list[bytes]:
        """Metric lines of what was counted since the last call."""
        with self._lock:
            classes, self._classes = self._classes, {}
            values, self._values = self._values, Histogram()
        lines = [
            emf_line({**self._dimensions, "Class": name}, [Metric("Prediction", count)])
            for name, count in classes.items()
        ]
        if values.count:
            lines.append(emf_line(self._dimensions, [Metric("Prediction", values.report(), "None")]))
        return lines

    def _value(self, response: Any) -> str | float:
        key = self._monitoring.key
        if key is not None:
            if not isinstance(response, Mapping) or key not in response:
                raise KeyError(f"the response has no key {key!r}")
            response = response[key]
        if hasattr(response, "item"):  # numpy scalars
            response = response.item()
        if self._monitoring.model_type == "classification":
            if isinstance(response, bool) or not isinstance(response, (str, int)):
                raise TypeError(f"a class must be a string or an integer, not {type(response).__name__}")
            return str(response)
        if isinstance(response, bool) or not isinstance(response, (int, float)):
            raise TypeError(f"a regression must be a number, not {type(response).__name__}")
        return float(response)

    def _count_class(self, name: str) -> None:
        if name not in self._known:
            name = name[:200]
            if len(self._known) >= MAX_CLASSES:
                name = OTHER
            self._known.add(name)
        self._classes[name] = self._classes.get(name, 0) + 1
