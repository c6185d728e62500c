"""Names in the account: different things have different names, whatever clusters, groups and APIs are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk import names
from cortex_cdk.config import Cluster
from cortex_cdk.config.cluster import NAME

# Words that our own names are made of, and some more: what collides is made of these.
WORDS = st.lists(
    st.sampled_from(["a", "b", "api", "split", "cluster", "errors", "load", "balancer", ""]), min_size=1, max_size=4
).map("-".join)
CLUSTERS = WORDS.filter(NAME.fullmatch)
OTHERS = WORDS.filter(re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?").fullmatch)
PAIRS = st.tuples(CLUSTERS, OTHERS)


def named(cluster: str, other: str) -> dict[str, set[str]]:
    """All names of a cluster and of something of it (an API, splitter or group), by what must be unique."""
    return {
        "stack": {
            names.cluster_stack(cluster),
            names.api_stack(cluster, other),
            names.splitter_stack(cluster, other),
        },
        "alarm": {
            names.balancer_alarm(cluster),
            *(names.alarm(cluster, other, subject) for subject in names.ALARM_SUBJECTS),
        },
        "capacity provider": {names.capacity_provider(cluster, other)},
        "task family": {names.task_family(cluster, other)},
        "log group": {names.log_group(cluster, other), names.image_builder_log_group(cluster)},
    }


@given(PAIRS, PAIRS)
def test_different_things_have_different_names(one: tuple[str, str], two: tuple[str, str]) -> None:
    first, second = named(*one), named(*two)
    assert {kind: len(found) for kind, found in first.items()} == {
        "stack": 3, "alarm": 3, "capacity provider": 1, "task family": 1, "log group": 2
    }  # fmt: skip
    if one[0] != two[0]:
        assert all(first[kind].isdisjoint(second[kind]) for kind in first)
    elif one != two:
        # Of one cluster, only what belongs to the cluster itself has one name.
        of_cluster = {
            names.cluster_stack(one[0]),
            names.balancer_alarm(one[0]),
            names.image_builder_log_group(one[0]),
        }
        assert all(first[kind] & second[kind] <= of_cluster for kind in first)


@pytest.mark.parametrize("name", ["my-api", "a-api-b", "a-split-b", "a-split", "a-b-api-c"])
def test_a_cluster_cannot_be_called_like_a_stack_of_another(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Cluster.default(name)


@pytest.mark.parametrize("name", ["api", "split", "apis-of-us", "my-apis", "api-eu"])
def test_only_the_separators_are_refused(name: str) -> None:
    assert Cluster.default(name).name == name
