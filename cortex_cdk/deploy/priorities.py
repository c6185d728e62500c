"""Which priority a listener rule gets.

A rule matches its endpoint and everything below it, and the load balancer takes the first match by
priority. So where one endpoint lies below another, the longer one must have the lower number; apart from
that, the numbers mean nothing. A rule that lives keeps its number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

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


def allocate(endpoint: str, rules: Iterable[Rule]) -> int:
    """A free priority for a new rule.

    Args:
        endpoint: The new rule's endpoint, such as ``/iris``.
        rules: Every rule that the listener has.

    Raises:
        DeployError: The endpoint is taken, or no number is left between the rules that it nests with.
    """
    rules = list(rules)
    if any(rule.endpoint == endpoint for rule in rules):
        raise DeployError(
            f"the endpoint {endpoint} is taken by another API of this cluster",
            hint="choose another networking.endpoint",
        )
    taken = {rule.priority for rule in rules}
    above = max((r.priority for r in rules if lies_below(r.endpoint, endpoint)), default=LOWEST - 1)
    below = min((r.priority for r in rules if lies_below(endpoint, r.endpoint)), default=HIGHEST + 1)
    upwards = range(max(above + 1, min(START, below)), below)
    downwards = range(min(below, START) - 1, above, -1)
    for candidate in itertools.chain(upwards, downwards):
        if candidate not in taken:
            return candidate
    raise DeployError(
        f"no listener rule priority is left for {endpoint}",
        hint="delete and deploy again an API whose endpoint nests with it",
    )
