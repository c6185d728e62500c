"""Evaluates CloudWatch alarms.

Source: "Using Amazon CloudWatch alarms", in particular "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from cortex_cdk.localcloud.services.cloudwatch.alarm_history import KEPT
from cortex_cdk.localcloud.services.cloudwatch.backend import UNCHECKED, LocalCloudWatch
from cortex_cdk.localcloud.services.cloudwatch.metric_math import ExpressionError
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

logger = logging.getLogger(__name__)

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


def state_of(
    datapoints: Sequence[float | None],
    *,
    breaches: Callable[[float], bool],
    needed: int,
    missing: str,
    current: str,
) -> str:
    """Return the state that an alarm should have.

    Args:
        datapoints: The last datapoints, one for each evaluation period; None for a period without data.
        breaches: Tells whether a value breaches the threshold.
        needed: How many datapoints must breach ("datapoints to alarm").
        missing: How missing data is treated: ``breaching``, ``notBreaching``, ``ignore`` or ``missing``.
        current: The alarm's state now.

    Returns:
        ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``.
    """
    present = [value for value in datapoints if value is not None]
    if not present and missing in {"missing", "ignore"}:
        return current if missing == "ignore" else "INSUFFICIENT_DATA"
    breaching = sum(breaches(value) for value in present)
    if missing == "breaching":
        breaching += len(datapoints) - len(present)
    return "ALARM" if breaching >= needed else "OK"


def evaluate(speed: float, is_foreign: Callable[[str], bool]) -> None:
    """Evaluate every metric alarm of every region once.

    Args:
        speed: How many times shorter than configured the periods are.
        is_foreign: Tells by an alarm's name whether somebody else sets the alarm's state.
    """
    with STATE_LOCK:
        backends: list[Any] = list(cloudwatch_backends[ACCOUNT_ID].values())
        for backend in backends:
            for alarm in list(backend.alarms.values()):
                if alarm.rule is None and not is_foreign(alarm.name):
                    try:
                        _evaluate(backend, alarm, speed)
                    except Exception:
                        # moto accepts alarms that make no sense. The others must be evaluated all the same.
                        logger.exception("The alarm %s could not be evaluated.", alarm.name)


def _evaluate(backend: LocalCloudWatch, alarm: Alarm, speed: float) -> None:
    try:
        datapoints = _datapoints(backend, alarm, speed)
    except (ExpressionError, ValueError) as error:
        show(alarm, "INSUFFICIENT_DATA", f"The metric cannot be computed here: {error}")
        return
    compare, _ = COMPARISONS[alarm.comparison_operator]
    threshold = float(alarm.threshold)
    state = state_of(
        datapoints,
        breaches=lambda value: compare(value, threshold),
        needed=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        missing=alarm.treat_missing_data or "missing",
        current=alarm.state_value,
    )
    show(alarm, state, reason_for(state, datapoints, alarm.comparison_operator, threshold))


def reason_for(state: str, datapoints: Sequence[float | None], comparison: str, threshold: float) -> str:
    """Return why an alarm is in a state, in words close to CloudWatch's.

    Args:
        state: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``.
        datapoints: The last datapoints; None for a period without data.
        comparison: The alarm's comparison operator.
        threshold: The alarm's threshold.
    """
    values = [f"{value:g}" for value in datapoints if value is not None]
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {len(datapoints) - len(values)} datapoints were unknown."
    if values:
        said = f"{'was' if state == 'ALARM' else 'was not'} {COMPARISONS[comparison][1]}"
        return f"Threshold Crossed: the last datapoints [{', '.join(values)}] {said} the threshold ({threshold:g})."
    count = len(datapoints)
    treated = "Breaching" if state == "ALARM" else "NonBreaching"
    return (
        f"Threshold Crossed: no datapoints were received for {count} periods and {count} missing datapoints "
        f"were treated as [{treated}]."
    )


def show(alarm: Alarm, state: str, reason: str) -> None:
    """Write a state into an alarm, if the state is another one or the first."""
    if alarm.state_value != state or alarm.state_reason == UNCHECKED:
        alarm.update_state(reason, "{}", state)
        del alarm.history[:-KEPT]


def _datapoints(backend: LocalCloudWatch, alarm: Alarm, speed: float) -> list[float | None]:
    """Return the values of an alarm's metric in its evaluation periods, the newest last."""
    queries, returned = _queries(alarm)
    period = _period(queries) / speed
    count = int(alarm.evaluation_periods)
    end = time.time() // period * period
    start = end - count * period
    values = backend.query_at_speed(queries, start, period, count, speed)[returned]
    return [values.get(start + number * period) for number in range(count)]


def evaluated_seconds(alarm: Alarm) -> float:
    """Return for how many seconds, not sped up, the datapoints that an alarm is evaluated from last."""
    return float(_period(_queries(alarm)[0]) * int(alarm.evaluation_periods))


def _period(queries: Sequence[Mapping[str, Any]]) -> int:
    return min(int(query["MetricStat"]["Period"]) for query in queries if query["MetricStat"])


def _queries(alarm: Alarm) -> tuple[list[dict[str, Any]], str]:
    """Return the metric queries of an alarm, and the id of the query that the alarm watches."""
    if not alarm.metric_data_queries:
        dimensions = [{"Name": item.name, "Value": item.value} for item in alarm.dimensions]
        metric = {"Namespace": alarm.namespace, "MetricName": alarm.metric_name, "Dimensions": dimensions}
        stat = alarm.statistic or alarm.extended_statistic
        return [{"Id": "m", "MetricStat": {"Metric": metric, "Stat": stat, "Period": alarm.period}}], "m"
    queries = [
        {"Id": query.id, "Expression": query.expression, "MetricStat": _statistic(query)}
        for query in alarm.metric_data_queries
    ]
    watched = [query.id for query in alarm.metric_data_queries if str(query.return_data).lower() != "false"]
    return queries, watched[0]


def _statistic(query: Any) -> dict[str, Any] | None:
    found = query.metric_stat
    if found is None:
        return None
    dimensions = [{"Name": item.name, "Value": item.value} for item in found.metric.dimensions]
    metric = {"Namespace": found.metric.namespace, "MetricName": found.metric.metric_name, "Dimensions": dimensions}
    return {"Metric": metric, "Stat": found.stat, "Period": found.period}
