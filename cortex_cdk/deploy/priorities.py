"""Which priority a listener rule gets.

A rule matches its endpoint and everything below it, and the load balancer takes the first match by
priority. So where one endpoint lies below another, the longer one must have the lower number; apart from
that, the numbers mean nothing. A rule that lives keeps its number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from cortex_cdk.cloud import Cloud
from cortex_cdk.errors import DeployError

# An ALB accepts 1 to 50000. New rules start in the middle, which leaves room below for endpoints nested in them.
LOWEST, START, HIGHEST = 1, 25_000, 50_000


@dataclass(frozen=True)
class Rule:
    """A rule of the listener: where it leads from, and its priority."""

    endpoint: str
    priority: int


def lies_below(endpoint: str, other: str) -> bool:
    """Whether requests for ``endpoint`` would also match a rule for ``other``."""
    return endpoint.startswith(other.rstrip("/") + "/")


def priority_for(endpoint: str, kept: int | None, others: Iterable[Rule]) -> int:
    """The priority of the rule for an endpoint.

    Args:
        endpoint: Such as ``/iris``.
        kept: The priority that the rule has now, or None where it is new.
        others: Every other rule of the listener.

    Returns:
        ``kept`` if it still does, else a free one.

    Raises:
        DeployError: The endpoint is taken, or no number is left between the rules that it nests with.
    """
    others = list(others)
    if any(rule.endpoint == endpoint for rule in others):
        raise DeployError(
            f"the endpoint {endpoint} is taken by another API of this cluster",
            hint="choose another networking.endpoint",
        )
    above = max((r.priority for r in others if lies_below(r.endpoint, endpoint)), default=LOWEST - 1)
    below = min((r.priority for r in others if lies_below(endpoint, r.endpoint)), default=HIGHEST + 1)
    if kept is not None and above < kept < below:
        return kept
    taken = {rule.priority for rule in others}
    upwards = range(max(above + 1, min(START, below)), below)
    downwards = range(min(below, START) - 1, above, -1)
    for candidate in itertools.chain(upwards, downwards):
        if candidate not in taken:
            return candidate
    raise DeployError(
        f"no listener rule priority is left for {endpoint}",
        hint="delete and deploy again an API whose endpoint nests with it",
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
