"""Search expressions, as in the dashboard of a cluster."""

from __future__ import annotations

import pytest

from cortex_cdk.localcloud.services.cloudwatch.metric_math import ExpressionError
from cortex_cdk.localcloud.services.cloudwatch.search import parse
from cortex_cdk.localcloud.services.cloudwatch.store import Key, key

ONE = key("AWS/ApplicationELB", "RequestCount", {"LoadBalancer": "app/a/1", "TargetGroup": "targetgroup/one/1"})
TWO = key("AWS/ApplicationELB", "RequestCount", {"LoadBalancer": "app/a/1", "TargetGroup": "targetgroup/two/2"})
METRICS: list[Key] = [
    TWO,
    ONE,
    key("AWS/ApplicationELB", "RequestCount", {"LoadBalancer": "app/a/1"}),
    key("AWS/ApplicationELB", "RequestCount", {"LoadBalancer": "app/b/2", "TargetGroup": "targetgroup/one/1"}),
    key("AWS/ApplicationELB", "TargetResponseTime", {"LoadBalancer": "app/a/1", "TargetGroup": "targetgroup/one/1"}),
    key("Cortex", "RequestCount", {"LoadBalancer": "app/a/1", "TargetGroup": "targetgroup/one/1"}),
]


@pytest.mark.parametrize("join", [" ", " AND "])
def test_a_search_finds_metrics_with_exactly_its_dimensions(join: str) -> None:
    terms = join.join(['LoadBalancer="app/a/1"', 'MetricName="RequestCount"'])

    found = parse(f"SEARCH('{{AWS/ApplicationELB,LoadBalancer,TargetGroup}} {terms}', 'Sum', 60)")

    assert found is not None
    assert found.finds(METRICS) == [ONE, TWO]
    assert (found.statistic, found.period, found.label(ONE)) == ("Sum", 60, "targetgroup/one/1")


def test_other_expressions_are_no_searches() -> None:
    assert parse("100 * errors / requests") is None


@pytest.mark.parametrize("expression", ["SEARCH()", "SEARCH('x', 'Sum')", "SEARCH('{A,B} C OR D', 'Sum', 60)"])
def test_searches_that_are_not_understood(expression: str) -> None:
    with pytest.raises(ExpressionError):
        parse(expression)
