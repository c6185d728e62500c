"""The load balancer's metrics, from Envoy's counters: namespace ``AWS/ApplicationELB``.

Names, dimensions and when a metric is reported: "CloudWatch metrics for your Application Load Balancer".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.cloudwatch.store import MetricStore
from cortex_cdk.localcloud.services.elbv2.routing import suffix
from cortex_cdk.localcloud.services.elbv2.targets import groups
from cortex_cdk.localcloud.state_lock import STATE_LOCK

NAMESPACE = "AWS/ApplicationELB"
PAGE = "/stats?format=json&usedonly&histogram_buckets=detailed&filter=" + (
    r"^(cluster\.[^.]*\.upstream_(rq_[2345]xx|rq_completed|rq_time|rq_retry|rq_pending_failure_eject|"
    r"cx_none_healthy|cx_destroy_remote_with_active_rq)|http\.[^.]*\.downstream_rq_5xx)$"
)
CLUSTER = re.compile(r"cluster\.(?P<name>[^.]+)\.upstream_(?P<counter>\w+)")
FRONT = re.compile(r"http\.(?P<name>[^.]+)\.downstream_(?P<counter>\w+)")
ATTEMPTS_FAILED = ("cx_destroy_remote_with_active_rq", "rq_pending_failure_eject")
HOSTS = ("HealthyHostCount", "UnHealthyHostCount")
MILLISECONDS = 1000.0
Values = list[tuple[float, float]]


@dataclass
class Reading:
    """What Envoy has counted since its start, or between two readings.

    Attributes:
        counters: By (target group or load balancer, counter).
        times: Response times in seconds by target group: how often each was measured.
    """

    counters: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    times: dict[str, dict[float, float]] = field(default_factory=lambda: defaultdict(dict))

    def since(self, earlier: Reading) -> Reading:
        """What was counted after an earlier reading. Where a counter went back, Envoy was started again."""
        result = Reading()
        for key, value in self.counters.items():
            before = earlier.counters.get(key, 0.0)
            result.counters[key] = value - before if value >= before else value
        for group, times in self.times.items():
            before_times = earlier.times.get(group, {})
            went_back = any(times.get(moment, 0.0) < count for moment, count in before_times.items())
            known = {} if went_back else before_times
            grown = {moment: count - known.get(moment, 0.0) for moment, count in times.items()}
            result.times[group] = {moment: count for moment, count in grown.items() if count > 0}
        return result


def parse(page: Mapping[str, Any]) -> Reading:
    """Read the page of statistics that ``PAGE`` names."""
    reading = Reading()
    for item in page["stats"]:
        if "histograms" in item:
            for histogram in item["histograms"].get("details", []):
                match = CLUSTER.fullmatch(histogram["name"])
                if match:
                    reading.times[match["name"]] = _times(histogram["totals"])
        else:
            match = CLUSTER.fullmatch(item["name"]) or FRONT.fullmatch(item["name"])
            if match:
                reading.counters[match["name"], match["counter"]] = float(item["value"])
    return reading


def _times(totals: Sequence[Mapping[str, float]]) -> dict[float, float]:
    # Envoy cuts fractions of a millisecond off, so that its narrower buckets stand for a whole one, too: 0 for 0 to 1.
    return {
        (float(bucket["lower_bound"]) + max(float(bucket["width"]), 1.0) / 2) / MILLISECONDS: float(bucket["count"])
        for bucket in totals
    }


@dataclass(frozen=True)
class GroupState:
    """A target group at the time of a reading: its load balancer, region and targets."""

    name: str
    balancer: str
    region: str
    healthy: int
    unhealthy: int


def group_states() -> list[GroupState]:
    """Return the target groups that belong to a load balancer."""
    with STATE_LOCK:
        return [
            GroupState(
                suffix(group.arn),
                suffix(group.load_balancer_arns[0]),
                group.region_name,
                sum(target.state == "healthy" for target in group.registered.values()),
                sum(target.state == "unhealthy" for target in group.registered.values()),
            )
            for group in groups()
            if group.load_balancer_arns
        ]


def record(delta: Reading, states: Sequence[GroupState], at: float) -> None:
    """Add what was counted in a span of time to CloudWatch.

    Args:
        delta: What was counted.
        states: The target groups.
        at: A second of that span.
    """
    with STATE_LOCK:
        for state in states:
            store = cloudwatch.store(state.region)
            balancer, group = {"LoadBalancer": state.balancer}, {"TargetGroup": state.name}
            for name, unit, values in _of_group(delta, state):
                store.add(NAMESPACE, name, {**balancer, **group}, values, at=at, unit=unit)
                if name == "RequestCountPerTarget":
                    store.add(NAMESPACE, name, group, values, at=at, unit=unit)
                elif name not in HOSTS:
                    store.add(NAMESPACE, name, balancer, values, at=at, unit=unit)
        _record_own_errors(delta, states, at)


def _of_group(delta: Reading, state: GroupState) -> Iterator[tuple[str, str, Values]]:
    """Return the metrics of one target group: name, unit, values. Without requests there are only the host counts."""
    yield "HealthyHostCount", "Count", [(float(state.healthy), 1.0)]
    yield "UnHealthyHostCount", "Count", [(float(state.unhealthy), 1.0)]
    times = delta.times.get(state.name, {})
    if times:
        # Envoy merges them up to a second after it has counted the requests.
        yield "TargetResponseTime", "Seconds", list(times.items())
    completed = delta.counters.get((state.name, "rq_completed"), 0.0)
    if not completed:
        return
    yield "RequestCount", "Count", [(completed, 1.0)]
    yield "RequestCountPerTarget", "Count", [(completed / max(1, state.healthy), 1.0)]
    for digit in "2345":
        count = delta.counters.get((state.name, f"rq_{digit}xx"), 0.0)
        if digit == "5":
            count -= _own_answers(delta, state.name)
        if count > 0:
            yield f"HTTPCode_Target_{digit}XX_Count", "Count", [(count, 1.0)]


def _own_answers(delta: Reading, group: str) -> float:
    """Return how often Envoy itself answered for a target group, which it counts as an answer 503 of the group.

    Every attempt that failed before an answer either was repeated or ended the request.
    """
    count = {name: delta.counters.get((group, name), 0.0) for name in (*ATTEMPTS_FAILED, "rq_retry", "cx_none_healthy")}
    failed = sum(count[name] for name in ATTEMPTS_FAILED)
    return count["cx_none_healthy"] + max(0.0, failed - count["rq_retry"])


def _record_own_errors(delta: Reading, states: Sequence[GroupState], at: float) -> None:
    """The answers 5XX that the load balancer gave by itself."""
    regions = {state.balancer: state.region for state in states}
    for balancer, region in regions.items():
        mine = [state.name for state in states if state.balancer == balancer]
        from_targets = sum(
            max(0.0, delta.counters.get((name, "rq_5xx"), 0.0) - _own_answers(delta, name)) for name in mine
        )
        own = delta.counters.get((balancer, "rq_5xx"), 0.0) - from_targets
        unavailable = min(own, sum(delta.counters.get((name, "cx_none_healthy"), 0.0) for name in mine))
        store: MetricStore = cloudwatch.store(region)
        counts = {"5XX": own, "503": unavailable, "502": own - unavailable}
        for code, count in counts.items():
            if count > 0:
                dimensions = {"LoadBalancer": balancer}
                store.add(NAMESPACE, f"HTTPCode_ELB_{code}_Count", dimensions, [(count, 1.0)], at=at, unit="Count")
