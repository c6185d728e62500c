"""Names in the account: different things have different names, whatever clusters, groups and APIs are called."""

from __future__ import annotations

import itertools

import pytest

from cortex_cdk import names
from cortex_cdk.config import Cluster
from cortex_cdk.config.cluster import NAME

# What our own names are made of, and some more: names that collide are made of these.
WORDS = ("a", "b", "api", "split", "cluster", "balancer")
OTHERS = ["-".join(words) for length in (1, 2, 3) for words in itertools.product(WORDS, repeat=length)]
CLUSTERS = [name for name in OTHERS if NAME.fullmatch(name)]


def named(cluster: str, other: str) -> set[tuple[str, str]]:
    """The names of something of a cluster (an API, splitter or group), each with what it is the name of."""
    return {
        ("stack", names.api_stack(cluster, other)),
        ("stack", names.splitter_stack(cluster, other)),
        *(("alarm", names.alarm(cluster, other, subject)) for subject in names.ALARM_SUBJECTS),
        ("capacity provider", names.capacity_provider(cluster, other)),
        ("task family", names.task_family(cluster, other)),
        ("log group", names.log_group(cluster, other)),
    }


def of_cluster(cluster: str) -> set[tuple[str, str]]:
    """The names of a cluster itself."""
    return {
        ("stack", names.cluster_stack(cluster)),
        ("alarm", names.balancer_alarm(cluster)),
        ("log group", names.image_builder_log_group(cluster)),
    }


def test_different_things_have_different_names() -> None:
    made = [name for cluster, other in itertools.product(CLUSTERS, OTHERS) for name in named(cluster, other)]
    made += [name for cluster in CLUSTERS for name in of_cluster(cluster)]
    assert len(made) == len(CLUSTERS) * (len(OTHERS) * 7 + 3)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("name", ["my-api", "a-api-b", "a-split-b", "a-split", "a-b-api-c"])
def test_a_cluster_cannot_be_called_like_a_stack_of_another(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Cluster.default(name)


@pytest.mark.parametrize("name", ["api", "split", "apis-of-us", "my-apis", "api-eu"])
def test_only_the_separators_are_refused(name: str) -> None:
    assert Cluster.default(name).name == name
