"""Prediction monitoring (``monitoring:``): counts predictions by class, or keeps the distribution of a number."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from cortex_serving.contract import CLASS_DIMENSION, PREDICTION_METRIC
from cortex_serving.metrics.emf import Metric, emf_line
from cortex_serving.metrics.histogram import Histogram
from cortex_serving.results.arrays import to_numpy
from cortex_serving.results.json_values import for_orjson
from cortex_serving.results.render import Response
from cortex_serving.results.tables import cells, is_column
from cortex_serving.spec import Monitoring

logger = logging.getLogger(__name__)

MAX_CLASSES = 100  # each class is a metric that costs money; further classes are counted together
OTHER = "(other)"
EMPTY = "(empty)"
_PLAIN = frozenset({str, int, float})


class PredictionMonitor:
    """Counts predictions of one process.

    Args:
        dimensions: Dimensions of the API's metrics.
        monitoring: Kind of the predicted values, and their key in the response.
    """

    def __init__(self, dimensions: Mapping[str, str], monitoring: Monitoring) -> None:
        self._dimensions = dimensions
        self._monitoring = monitoring
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}  # classes as CloudWatch takes them
        self._classes: dict[str, int] = {}
        self._values = Histogram()
        self._complained: set[str] = set()

    def observe(self, response: Any) -> None:
        """Count a prediction. Warn about a response that is none, once for each reason; never raise.

        Args:
            response: The value that ``predict`` returned.
        """
        try:
            value = self._value(response)
        except Exception as error:  # reading an attribute may run the predictor's code
            self._complain(_said(error))
            return
        if value is None:
            return
        with self._lock:
            if isinstance(value, str):
                self._count_class(value)
            else:
                self._values.add(value)

    def _complain(self, reason: str) -> None:
        with self._lock:
            if reason in self._complained or len(self._complained) >= MAX_CLASSES:
                return
            self._complained.add(reason)
        logger.warning("prediction monitoring: %s", reason)

    def lines(self) -> list[bytes]:
        """Return log lines with the metrics since the last call."""
        with self._lock:
            classes, self._classes = self._classes, {}
            values, self._values = self._values, Histogram()
        lines = [
            emf_line({**self._dimensions, CLASS_DIMENSION: name}, [Metric(PREDICTION_METRIC, count)])
            for name, count in classes.items()
        ]
        if values.count:
            lines.append(emf_line(self._dimensions, [Metric(PREDICTION_METRIC, values.report(), "None")]))
        return lines

    def _value(self, response: Any) -> str | float | None:
        """Return the predicted class or number; None for a response with an error status."""
        if isinstance(response, Response):
            if response.status_code >= 400:
                return None
            response = response.content
        if self._monitoring.key is not None:
            response = _part(response, self._monitoring.key)
        if type(response) not in _PLAIN:
            response = _bare(response)
        if self._monitoring.model_type == "classification":
            if isinstance(response, bool) or not isinstance(response, (str, int)):
                raise TypeError(f"a class must be a string or an integer, not {type(response).__name__}")
            return str(response)
        if isinstance(response, bool) or not isinstance(response, (int, float, Decimal)):
            raise TypeError(f"a regression must be a number, not {type(response).__name__}")
        return float(response)

    def _count_class(self, name: str) -> None:
        written = self._names.get(name)
        if written is None:
            written = OTHER
            if len(self._names) < MAX_CLASSES:
                written = self._names[name] = _class_name(name)
        self._classes[written] = self._classes.get(written, 0) + 1


def _said(error: Exception) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # the exception may be of the predictor, and its class broken
        return type(error).__name__


def _bare(value: Any) -> Any:
    """Return the value of an enum, or the only number of an array or column; any other value as it is."""
    if isinstance(value, Enum):
        value = value.value
    found = cells(value) if is_column(value) else to_numpy(value)
    if found is None:
        return value
    size = len(found) if isinstance(found, list) else found.size
    if size != 1:
        raise TypeError(f"a prediction must be one value, not a {type(value).__name__} of {size}")
    return found[0] if isinstance(found, list) else found.item()


def _part(response: Any, key: str) -> Any:
    """Return the value of a key of the answer, which is a dict or a model, as clients see the answer."""
    if isinstance(response, Mapping):
        if key in response:
            return response[key]
    elif dataclasses.is_dataclass(response) or hasattr(response, "model_dump"):
        fields = for_orjson(response)
        if isinstance(fields, dict) and key in fields:
            return fields[key]
    raise ValueError(f"the response ({type(response).__name__}) has no key {key!r}")


def _class_name(name: str) -> str:
    """Word a class as a value of a CloudWatch dimension: 1 to 200 characters of printable ASCII."""
    if not (name.isascii() and name.isprintable()):
        name = name.encode("unicode_escape").decode("ascii")
    return name.strip()[:200] or EMPTY
