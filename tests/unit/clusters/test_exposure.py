"""A cluster that strangers reach in clear text says so, wherever a user looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cortex_stacks.toolkit import placeholder_resources

from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment, LocalEnvironment

SAID = "everybody on the internet can reach the APIs, and requests are not encrypted"


@pytest.mark.parametrize(
    ("settings", "is_public"),
    [
        ({}, True),
        ({"allowed_cidrs": ["::/0"]}, True),
        ({"allowed_cidrs": ["203.0.113.0/24", "0.0.0.0/0"]}, True),
        ({"allowed_cidrs": ["203.0.113.0/24"]}, False),
        ({"scheme": "internal"}, False),
    ],
)
def test_who_is_let_in(settings: dict[str, Any], is_public: bool) -> None:
    assert Cluster.model_validate({"load_balancer": settings}).load_balancer.is_public is is_public


def test_a_running_cluster_says_so() -> None:
    resources = placeholder_resources(Cluster()).model_copy(update={"is_public": True})
    running = RunningCluster("demo", "prod", resources, "http://lb.example")
    assert (running.exposure or "").startswith(SAID)
    assert replace(running, url="https://lb.example").exposure is None
    assert replace(running, resources=resources.model_copy(update={"is_public": False})).exposure is None
    # A stack of an earlier version does not say who is let in.
    assert replace(running, resources=resources.model_copy(update={"is_public": None})).exposure is None


def test_nobody_else_reaches_this_machine() -> None:
    assert Environment("prod").is_on_the_network
    assert not LocalEnvironment().is_on_the_network
