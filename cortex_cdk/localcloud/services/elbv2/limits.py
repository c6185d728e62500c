"""Refuses more rules and target groups than a load balancer takes.

Source: "Quotas for your Application Load Balancers" (Elastic Load Balancing user guide), and the API's errors
TooManyRules and TooManyUniqueTargetGroupsPerLoadBalancer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeListenerRule, FakeLoadBalancer

MOST_RULES = 100
MOST_TARGET_GROUPS = 100


def install() -> None:
    """Let CreateRule refuse rules beyond the limits."""
    create = ELBv2Backend.create_rule

    def create_rule(self: ELBv2Backend, listener_arn: str, *arguments: Any, **named: Any) -> FakeListenerRule:
        # The actions of the rule are the third argument.
        actions = named["actions"] if "actions" in named else arguments[2]
        for listener in self.describe_listeners(None, [listener_arn]):
            _check(self.load_balancers[listener.load_balancer_arn], actions)
        return create(self, listener_arn, *arguments, **named)

    ELBv2Backend.create_rule = create_rule  # type: ignore[method-assign]


def _check(balancer: FakeLoadBalancer, actions: Iterable[Mapping[str, Any]]) -> None:
    # Default rules are of another class, and do not count.
    rules = [
        rule
        for listener in balancer.listeners.values()
        for rule in listener.rules.values()
        if isinstance(rule, FakeListenerRule)
    ]
    if len(rules) >= MOST_RULES:
        raise ELBClientError(
            "TooManyRules", f"The maximum number of rules on load balancer '{balancer.arn}' has been reached"
        )
    present = set(_target_groups(action.data for rule in rules for action in rule.actions))
    if len(present.union(_target_groups(actions))) > MOST_TARGET_GROUPS:
        raise ELBClientError(
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "You've reached the limit on the number of unique target groups per load balancer across all listeners. "
            "If a target group is used by multiple actions for a load balancer, it is counted as only one use.",
        )


def _target_groups(actions: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for action in actions:
        if "TargetGroupArn" in action:
            yield action["TargetGroupArn"]
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups", []):
            yield group["TargetGroupArn"]
