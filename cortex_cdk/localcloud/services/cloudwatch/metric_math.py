"""Metric math: the part of CloudWatch's expressions that alarms, scaling policies and status need.

Understood: numbers, names of other queries, ``+ - * /``, comparisons, brackets, ``FILL(m, number)``,
``IF(condition, a, b)``, and ``SUM``, ``AVG``, ``MIN`` and ``MAX`` of a list or of ``METRICS()``. Source: "Use metric
math" of the CloudWatch guide.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence

Values = dict[float, float]
"""A time series: values by time."""

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], float]] = {
    ast.Lt: lambda left, right: float(left < right),
    ast.LtE: lambda left, right: float(left <= right),
    ast.Gt: lambda left, right: float(left > right),
    ast.GtE: lambda left, right: float(left >= right),
    ast.Eq: lambda left, right: float(left == right),
    ast.NotEq: lambda left, right: float(left != right),
}
"""1 where they hold, else 0."""
REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "MIN": min,
    "MAX": max,
    "AVG": lambda values: sum(values) / len(values),
}


class ExpressionError(Exception):
    """An expression that is not understood; the message says which part."""


def evaluate(expression: str, series: Mapping[str, Values], times: Sequence[float]) -> Values:
    """Compute an expression at every point in time where its operands have values.

    Args:
        expression: The expression.
        series: The values of other queries, by their id.
        times: The points in time of the whole query, for ``FILL``.

    Raises:
        ExpressionError: It uses something that is not understood, or an id that does not exist.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"not an expression: {expression}") from error
    result = _Evaluation(series, times).of(tree)
    return result if isinstance(result, dict) else dict.fromkeys(times, result)


class _Evaluation:
    def __init__(self, series: Mapping[str, Values], times: Sequence[float]) -> None:
        self._series = series
        self._times = times

    def of(self, node: ast.expr) -> Values | float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.Name) and node.id in self._series:
            return self._series[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _combine(operator.sub, 0.0, self.of(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return _combine(OPERATORS[type(node.op)], self.of(node.left), self.of(node.right))
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return _combine(COMPARISONS[type(node.ops[0])], self.of(node.left), self.of(node.comparators[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, node.args)
        raise ExpressionError(f"not understood: {ast.unparse(node)}")

    def _call(self, name: str, arguments: Sequence[ast.expr]) -> Values | float:
        if name == "FILL" and len(arguments) == 2:
            values, filler = self.of(arguments[0]), self.of(arguments[1])
            if isinstance(values, dict) and isinstance(filler, float):
                return {moment: values.get(moment, filler) for moment in self._times}
        if name == "IF" and len(arguments) == 3:
            return self._choose(*map(self.of, arguments))
        if name in REDUCERS and len(arguments) == 1:
            return self._reduce(REDUCERS[name], self._list(arguments[0]))
        raise ExpressionError(f"not understood: {name}({', '.join(ast.unparse(part) for part in arguments)})")

    def _choose(self, condition: Values | float, one: Values | float, other: Values | float) -> Values | float:
        """``one`` where the condition is not 0, else ``other``; no value where the chosen one has none."""
        if not isinstance(condition, dict):
            return one if condition else other
        chosen = {moment: one if value else other for moment, value in condition.items()}
        return {
            moment: source[moment] if isinstance(source, dict) else source
            for moment, source in chosen.items()
            if not isinstance(source, dict) or moment in source
        }

    def _list(self, node: ast.expr) -> list[Values]:
        if isinstance(node, ast.List):
            found = [self.of(item) for item in node.elts]
        elif ast.unparse(node) == "METRICS()":
            found = list(self._series.values())
        else:
            found = [self.of(node)]
        return [item for item in found if isinstance(item, dict)]

    def _reduce(self, reducer: Callable[[Sequence[float]], float], items: Sequence[Values]) -> Values | float:
        if len(items) == 1:
            values = list(items[0].values())
            return reducer(values) if values else {}
        moments = sorted({moment for item in items for moment in item})
        return {moment: reducer([item[moment] for item in items if moment in item]) for moment in moments}


def _combine(operation: Callable[[float, float], float], left: Values | float, right: Values | float) -> Values | float:
    """Apply an operation where both sides have values; a division by zero gives no value, as in CloudWatch."""
    if isinstance(left, dict):
        moments = [moment for moment in left if not isinstance(right, dict) or moment in right]
        pairs = {moment: (left[moment], right[moment] if isinstance(right, dict) else right) for moment in moments}
    elif isinstance(right, dict):
        pairs = {moment: (left, value) for moment, value in right.items()}
    else:
        return operation(left, right)
    result = {}
    for moment, (first, second) in pairs.items():
        if operation is not operator.truediv or second:
            result[moment] = operation(first, second)
    return result
