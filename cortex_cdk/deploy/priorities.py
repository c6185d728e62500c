"""Which priority a listener rule gets.

A rule matches its endpoint and everything below it, and the load balancer takes the first match by
priority. So where one endpoint lies below another, the longer one must have the lower number. Every depth
(the number of segments of an endpoint) has a band of numbers of its own, the deeper the lower: whatever
nests is in order, whenever it is deployed, and a rule that lives keeps its number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cortex_cdk.cloud import Cloud
from cortex_cdk.errors import DeployError

# An ALB accepts 1 to 50000. An endpoint of at most 127 characters has at most 63 segments.
HIGHEST, MAX_DEPTH = 50_000, 63
BAND = HIGHEST // MAX_DEPTH


@dataclass(frozen=True)
class Rule:
    """A rule of the listener: where it leads from, and its priority."""

    endpoint: str
    priority: int


def band(endpoint: str) -> range:
    """The numbers that rules for endpoints of that depth may have."""
    depth = endpoint.count("/")
    return range(HIGHEST - depth * BAND + 1, HIGHEST - (depth - 1) * BAND + 1)


def priority_for(endpoint: str, kept: int | None, others: Iterable[Rule]) -> int:
    """The priority of the rule for an endpoint.

    Args:
        endpoint: Such as ``/iris``.
        kept: The priority that the rule has now, or None where it is new.
        others: Every other rule of the listener.

    Returns:
        ``kept`` if it still does, else a free one.

    Raises:
        DeployError: The endpoint is taken, or no number of its band is left.
    """
    others = list(others)
    if any(rule.endpoint == endpoint for rule in others):
        raise DeployError(
            f"the endpoint {endpoint} is taken by another API or traffic splitter of this cluster",
            hint="choose another networking.endpoint",
        )
    taken = {rule.priority for rule in others}
    allowed = band(endpoint)
    if kept is not None and kept in allowed and kept not in taken:
        return kept
    for candidate in allowed:
        if candidate not in taken:
            return candidate
    raise DeployError(
        f"no listener rule priority is left for {endpoint}",
        hint="choose an endpoint with more or fewer segments, or another cluster",
    )


def read_rules(cloud: Cloud, listener_arn: str) -> list[Rule]:
    """The rules of a listener that lead to APIs and splitters."""
    pages = cloud.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener_arn)
    rules = []
    for rule in (rule for page in pages for rule in page["Rules"] if not rule.get("IsDefault")):
        paths = [
            value
            for condition in rule.get("Conditions", [])
            for value in condition.get("PathPatternConfig", {}).get("Values", condition.get("Values", []))
        ]
        if paths:
            rules.append(Rule(min(paths, key=len), int(rule["Priority"])))
    return rules
