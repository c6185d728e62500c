"""A cluster that strangers reach in clear text says so, wherever a user looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cortex_cdk.clusters.exposure import dangers_of_plan
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment, LocalEnvironment
from cortex_cdk.synthesis.placeholders import placeholder_resources

SAID = "everybody on the internet can reach the cluster, and requests are not encrypted"


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
    clear, asked = running.dangers(["a", "b"])
    assert clear.startswith(SAID)
    assert asked == (
        "everybody on the internet can send requests to a, b: set networking.auth, or restrict "
        "load_balancer.allowed_cidrs"
    )
    assert running.dangers([]) == (clear,)
    assert replace(running, url="https://lb.example").dangers(["a", "b"]) == (asked,)
    assert replace(running, resources=resources.model_copy(update={"is_public": False})).dangers(["a"]) == ()
    # A stack of an earlier version does not say who is let in.
    assert replace(running, resources=resources.model_copy(update={"is_public": None})).dangers(["a"]) == ()


def test_a_plan_says_so() -> None:
    clear, asked = dangers_of_plan(Environment("prod"), Cluster())
    assert clear.startswith(SAID)
    assert "can send requests to every API without authentication: " in asked
    domain = Cluster.model_validate({"domain": "api.example.com", "hosted_zone": "example.com"})
    assert dangers_of_plan(Environment("prod"), domain) == (asked,)
    assert dangers_of_plan(LocalEnvironment(), Cluster()) == ()


def test_nobody_else_reaches_this_machine() -> None:
    assert Environment("prod").is_on_the_network
    assert not LocalEnvironment().is_on_the_network
