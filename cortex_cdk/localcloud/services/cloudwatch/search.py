"""Search expressions of CloudWatch: the metrics that have certain dimensions and values.

Understood: ``SEARCH('{Namespace,Dimension,...} Name="value" ...', 'Statistic', period)``, where every term names a
dimension or ``MetricName``, and all of them must hold. Source: "Search expressions" of the CloudWatch guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cortex_cdk.localcloud.services.cloudwatch.metric_math import ExpressionError
from cortex_cdk.localcloud.services.cloudwatch.store import Key

METRIC_NAME = "MetricName"
_CALL = re.compile(
    r"""\s*SEARCH\(\s*(['"])\{([^}]*)\}(.*)\1\s*,\s*(['"])([\w.]+)\4\s*(?:,\s*(\d+)\s*)?\)\s*""", re.DOTALL
)
_TERM = re.compile(r"""\s*(\w+)=\\?"([^"\\]*)\\?"(?:\s+AND(?=\s))?\s*""")


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        namespace: Namespace of the metrics.
        dimensions: Names of all their dimensions.
        wanted: Values by dimension, and by ``MetricName``.
        statistic: Which statistic of them.
        period: Seconds that one value stands for.
    """

    namespace: str
    dimensions: frozenset[str]
    wanted: tuple[tuple[str, str], ...]
    statistic: str
    period: int

    def finds(self, metrics: Iterable[Key]) -> list[Key]:
        """Return those of the metrics that are looked for, in a steady order."""
        return sorted(metric for metric in metrics if self._is(metric))

    def label(self, metric: Key) -> str:
        """What tells one found metric from the others."""
        given = {name for name, _ in self.wanted}
        own = [value for name, value in metric[2] if name not in given]
        return " ".join(own if METRIC_NAME in given and own else [*own, metric[1]])

    def _is(self, metric: Key) -> bool:
        namespace, name, dimensions = metric
        values = {**dict(dimensions), METRIC_NAME: name}
        return (
            namespace == self.namespace
            and {dimension for dimension, _ in dimensions} == self.dimensions
            and all(values.get(wanted) == value for wanted, value in self.wanted)
        )


def parse(expression: str) -> Search | None:
    """Read a search expression.

    Returns:
        What is looked for; None where the expression is no search.

    Raises:
        ExpressionError: It is a search that is not understood.
    """
    if not expression.lstrip().startswith("SEARCH"):
        return None
    call = _CALL.fullmatch(expression)
    if call is None:
        raise ExpressionError(f"not understood: {expression}")
    namespace, *dimensions = [name.strip().strip('"') for name in call[2].split(",")]
    return Search(namespace, frozenset(dimensions), tuple(_terms(call[3])), call[5], int(call[6] or 300))


def _terms(text: str) -> Iterable[tuple[str, str]]:
    position = 0
    while text[position:].strip():
        term = _TERM.match(text, position)
        if term is None:
            raise ExpressionError(f"not understood: {text[position:].strip()}")
        yield term[1], term[2]
        position = term.end()
