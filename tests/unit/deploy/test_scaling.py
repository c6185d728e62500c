"""What the deployer says of an API's scaling: replicas, requests, instances, dollars."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.config import Cluster, RealtimeApi
from cortex_cdk.deploy.scaling import scaling_in_words
from cortex_cdk.synthesis.specs import provider_resources


def words(
    autoscaling: dict[str, Any],
    *,
    types: tuple[str, ...] = ("m6i.large",),
    most: int = 5,
    billed: bool = True,
    **fields: Any,
) -> list[str]:
    predictor = {"type": "python", "path": "predictor.py", **fields.pop("predictor", {})}
    data = {"name": "iris", "kind": "RealtimeAPI", "predictor": predictor, "autoscaling": autoscaling, **fields}
    group = {"name": "cpu", "instance_types": types, "max_instances": most}
    (provider,) = provider_resources(Cluster.model_validate({"instance_groups": [group]}))
    return list(scaling_in_words(RealtimeApi.model_validate(data), provider, is_billed=billed))


@pytest.mark.parametrize(
    ("autoscaling", "predictor", "first"),
    [
        (
            {},
            {},
            "scales from 1 to 10 replicas (the default of max_replicas) while more than 1 request is in flight"
            " for each",
        ),
        (
            {"min_replicas": 2, "max_replicas": 20},
            {"processes_per_replica": 2, "threads_per_process": 4},
            "scales from 2 to 20 replicas while more than 8 requests are in flight for each",
        ),
        (
            {"max_replicas": 4, "target_replica_requests_per_second": 2.5},
            {},
            "scales from 1 to 4 replicas while more than 1 request is in flight for each, or more than 2.5 a "
            "second come to each",
        ),
        ({"min_replicas": 3, "max_replicas": 3}, {}, "runs 3 replicas, and does not scale"),
        ({"max_replicas": 1}, {}, "runs 1 replica, and does not scale"),
    ],
)
def test_when_replicas_are_added(autoscaling: dict[str, Any], predictor: dict[str, Any], first: str) -> None:
    assert words(autoscaling, predictor=predictor)[0] == first


@pytest.mark.parametrize(
    ("options", "second"),
    [
        # Ten replicas of 205 CPU units do not quite fit on 2,048.
        ({}, "at most 0.19 USD an hour for 2 instances of m6i.large (list price of us-east-1)"),
        ({"compute": {"cpu": 1}}, "at most 0.48 USD an hour for 5 instances of m6i.large (list price of us-east-1)"),
        # EC2 may start the dearer type.
        (
            {"types": ("m6i.large", "r6i.large")},
            "at most 0.25 USD an hour for 2 instances of r6i.large (list price of us-east-1)",
        ),
        (
            {"compute": {"cpu": 1}, "most": 2},
            "group cpu has room for 4 of 10, at most 0.19 USD an hour for 2 instances of m6i.large (list price of "
            "us-east-1)",
        ),
        ({"compute": {"cpu": 1}, "most": 2, "billed": False}, "group cpu has room for 4 of 10"),
        ({"billed": False}, None),
        ({"types": ("z1d.large",)}, None),
    ],
)
def test_what_they_need_at_most(options: dict[str, Any], second: str | None) -> None:
    assert words({}, **options)[1:] == ([second] if second else [])
