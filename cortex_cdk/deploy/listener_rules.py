"""Chooses the priorities of listener rules.

A rule matches its endpoint and everything below, and the load balancer takes the first match by priority. So where one
endpoint lies below another, the longer one must have the lower number. Every depth (the number of segments of an
endpoint) has a band of numbers of its own, the deeper the lower: whatever nests is in order, whenever it is deployed,
and a rule that lives keeps its number.

Within its band an endpoint begins to look for a free number at a place of its own: two deployments that run at the same
time and do not see each other's rules choose different numbers, unless they want the same endpoint (decision 0003).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import RuleTypeDef

# An ALB accepts 1 to 50000. An endpoint of at most 127 characters has at most 63 segments.
HIGHEST, MAX_DEPTH = 50_000, 63
BAND = HIGHEST // MAX_DEPTH


@dataclass(frozen=True)
class Rule:
    """A rule of the listener.

    Attributes:
        endpoint: The path that it matches, with everything below; empty where the endpoint is free, and only the
            number is taken.
        priority: 1 to 50000; the lowest one that matches counts.
        target_groups: ARNs of the target groups that it forwards to.
    """

    endpoint: str
    priority: int
    target_groups: tuple[str, ...] = ()


class EndpointTakenError(DeployError):
    """Another rule has the endpoint.

    Attributes:
        rule: That rule.
    """

    def __init__(self, rule: Rule, holder: str | None = None) -> None:
        holder = holder or "another API or traffic splitter of this cluster"
        super().__init__(
            f"the endpoint {rule.endpoint} is taken by {holder}", hint="choose another networking.endpoint"
        )
        self.rule = rule


@dataclass(frozen=True)
class Allocation:
    """The priorities of the rules that are deployed together.

    Attributes:
        priorities: By endpoint.
        refused: Why an endpoint gets none, by endpoint.
        rules: The rules of the listener as they will be.
    """

    priorities: Mapping[str, int]
    refused: Mapping[str, DeployError]
    rules: tuple[Rule, ...]

    def priority(self, endpoint: str) -> int:
        """Return the priority of the rule for an endpoint.

        Raises:
            DeployError: The endpoint gets none.
        """
        if endpoint in self.refused:
            raise self.refused[endpoint]
        return self.priorities[endpoint]


def band(endpoint: str) -> range:
    """Return the numbers that rules for endpoints of that depth may have."""
    depth = endpoint.count("/")
    return range(HIGHEST - depth * BAND + 1, HIGHEST - (depth - 1) * BAND + 1)


def priority_for(endpoint: str, kept: int | None, others: Iterable[Rule]) -> int:
    """Choose the priority of the rule for an endpoint.

    Args:
        endpoint: Such as ``/iris``.
        kept: The priority that the rule has now, or None where it is new.
        others: Every other rule of the listener.

    Returns:
        ``kept`` if that is still right, else a free number.

    Raises:
        EndpointTakenError: Another rule has the endpoint.
        DeployError: No number of the band is left.
    """
    others = list(others)
    for rule in others:
        if rule.endpoint == endpoint:
            raise EndpointTakenError(rule)
    taken = {rule.priority for rule in others}
    allowed = band(endpoint)
    if kept is not None and kept in allowed and kept not in taken:
        return kept
    start = int.from_bytes(hashlib.sha256(endpoint.encode()).digest()[:8], "big") % len(allowed)
    for candidate in chain(allowed[start:], allowed[:start]):
        if candidate not in taken:
            return candidate
    raise DeployError(
        f"no listener rule priority is left for {endpoint}",
        hint="choose an endpoint with more or fewer segments, or another cluster",
    )


def allocate(wanted: Mapping[str, int | None], rules: Iterable[Rule], own: Collection[int]) -> Allocation:
    """Choose the priorities of rules that are deployed together.

    Args:
        wanted: The priority that each endpoint's rule has now, or None where it is new; by endpoint.
        rules: Every rule of the listener.
        own: The priorities of those rules that the deployment changes. Their endpoints are free, so that what is
            deployed together may exchange endpoints; their numbers stay taken.
    """
    rules = [Rule("", rule.priority) if rule.priority in own else rule for rule in rules]
    priorities: dict[str, int] = {}
    refused: dict[str, DeployError] = {}
    for endpoint, kept in wanted.items():
        others = [rule for rule in rules if rule.priority != kept]
        try:
            priorities[endpoint] = priority_for(endpoint, kept, others)
        except DeployError as error:
            refused[endpoint] = error
        else:
            rules = [*others, Rule(endpoint, priorities[endpoint])]
    return Allocation(priorities, refused, tuple(rules))


def read_rules(cloud: Cloud, listener_arn: str) -> list[Rule]:
    """Read the rules of a listener, without the default one.

    Args:
        cloud: A session of the environment.
        listener_arn: The cluster's listener.
    """
    pages = cloud.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener_arn)
    rules = (rule for page in pages for rule in page["Rules"] if not rule.get("IsDefault"))
    return [Rule(_endpoint(rule), int(rule["Priority"]), tuple(_target_groups(rule))) for rule in rules]


def _endpoint(rule: RuleTypeDef) -> str:
    """The endpoint that a rule matches with everything below; empty for a rule without paths, which is none of ours."""
    paths = [
        value
        for condition in rule.get("Conditions", [])
        for value in condition.get("PathPatternConfig", {}).get("Values", condition.get("Values", []))
    ]
    return min(paths, key=len, default="")


def _target_groups(rule: RuleTypeDef) -> Iterator[str]:
    for action in rule.get("Actions", []):
        if "TargetGroupArn" in action:
            yield action["TargetGroupArn"]
        for group in action.get("ForwardConfig", {}).get("TargetGroups", []):
            yield group.get("TargetGroupArn", "")
