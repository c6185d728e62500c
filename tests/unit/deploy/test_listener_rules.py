"""Where one endpoint lies below another, the longer one's rule must be looked at first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.deploy.listener_rules import HIGHEST, MAX_DEPTH, EndpointTakenError, Rule, allocate, band, priority_for
from cortex_cdk.errors import DeployError

endpoints = st.lists(st.sampled_from(["a", "b", "ab", "v1"]), min_size=1, max_size=5).map(lambda p: "/" + "/".join(p))


def lies_below(endpoint: str, other: str) -> bool:
    return endpoint.startswith(other + "/")


@given(st.lists(endpoints, unique=True, max_size=40))
def test_rules_made_one_after_another_are_unique_and_nested_ones_come_first(wanted: list[str]) -> None:
    rules: list[Rule] = []
    for endpoint in wanted:
        rules.append(Rule(endpoint, priority_for(endpoint, None, rules)))
    priorities = [rule.priority for rule in rules]
    assert len(set(priorities)) == len(priorities)
    assert all(1 <= priority <= HIGHEST for priority in priorities)
    for inner in rules:
        for outer in rules:
            if lies_below(inner.endpoint, outer.endpoint):
                assert inner.priority < outer.priority


@given(st.lists(endpoints, unique=True, min_size=1, max_size=20), st.data())
def test_a_rule_that_lives_keeps_its_number(wanted: list[str], data: st.DataObject) -> None:
    rules: list[Rule] = []
    for endpoint in wanted:
        rules.append(Rule(endpoint, priority_for(endpoint, None, rules)))
    one = data.draw(st.sampled_from(rules))
    others = [rule for rule in rules if rule != one]
    assert priority_for(one.endpoint, one.priority, others) == one.priority


def test_a_rule_whose_endpoint_is_nested_deeper_moves_to_a_number_that_fits() -> None:
    kept = priority_for("/b", None, [])
    assert priority_for("/a/b", kept, [Rule("/a", 49_900)]) < 49_900


def test_the_deepest_endpoint_has_numbers_too() -> None:
    assert min(band("/a" * MAX_DEPTH)) >= 1


def test_an_endpoint_is_given_once() -> None:
    with pytest.raises(DeployError, match="the endpoint /iris is taken"):
        priority_for("/iris", None, [Rule("/iris", 7)])


def test_deployments_that_do_not_see_each_others_rules_choose_apart() -> None:
    """Unless they want the same endpoint: then the load balancer refuses the second one."""
    chosen = [priority_for(f"/{name}", None, []) for name in ("iris", "text", "shared", "good")]
    assert len(set(chosen)) == len(chosen)
    assert priority_for("/iris", None, []) == chosen[0]


def test_a_full_band_is_told() -> None:
    rules = [Rule(f"/a{number}", number) for number in band("/a")]
    with pytest.raises(DeployError, match="no listener rule priority is left"):
        priority_for("/a", None, rules)


def test_what_is_deployed_together_exchanges_endpoints_and_every_refusal_is_kept() -> None:
    rules = [Rule("/a", 49_300), Rule("/b", 49_301), Rule("/c", 49_302), Rule("/d", 49_303)]
    wanted = {"/b": 49_300, "/a": 49_301, "/c": None, "/d": None, "/e": None}
    allocation = allocate(wanted, rules, own={49_300, 49_301})
    assert (allocation.priority("/b"), allocation.priority("/a")) == (49_300, 49_301)
    assert allocation.priority("/e") not in {rule.priority for rule in rules}
    assert list(allocation.refused) == ["/c", "/d"]
    with pytest.raises(EndpointTakenError, match="the endpoint /c is taken"):
        allocation.priority("/c")
    assert {rule.endpoint for rule in allocation.rules} == {"/a", "/b", "/c", "/d", "/e"}
