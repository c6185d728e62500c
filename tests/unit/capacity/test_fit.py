"""Which instance group runs a replica, and what fits none."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.capacity.fit import per_instance
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.config import Cluster, Compute
from cortex_cdk.errors import DeployError
from cortex_cdk.synthesis.placeholders import placeholder_resources
from cortex_cdk.synthesis.specs import ClusterResources


def cluster(**groups: str) -> ClusterResources:
    """A cluster with these groups; several types of one are separated by spaces."""
    described = [{"name": name, "instance_types": types.split()} for name, types in groups.items()]
    return placeholder_resources(Cluster.model_validate({"name": "demo", "instance_groups": described}))


@pytest.mark.parametrize(
    ("groups", "compute", "chosen"),
    [
        ({"small": "m6i.large", "big": "m6i.4xlarge"}, {"cpu": 1}, "small"),
        ({"small": "m6i.large", "big": "m6i.4xlarge"}, {"cpu": 4}, "big"),
        ({"small": "m6i.large", "big": "m6i.4xlarge"}, {"mem": "7444Mi"}, "small"),
        ({"small": "m6i.large", "big": "m6i.4xlarge"}, {"mem": "7445Mi"}, "big"),
        # EC2 may start any type of a group: one where all have room comes first.
        ({"mixed": "m6i.xlarge m6i.large", "big": "m6i.4xlarge"}, {"cpu": 4}, "big"),
        ({"mixed": "m6i.xlarge m6i.large"}, {"cpu": 4}, "mixed"),
        ({"gpu": "g4dn.xlarge", "gpus": "g4dn.12xlarge"}, {"gpu": 1}, "gpu"),
        ({"gpu": "g4dn.xlarge", "gpus": "g4dn.12xlarge"}, {"gpu": 2}, "gpus"),
        ({"inf": "inf1.xlarge", "cpu": "m6i.large"}, {"inf": 1}, "inf"),
        # Without an accelerator: expensive instances last.
        ({"gpu": "g4dn.xlarge", "cpu": "m6i.large"}, {"cpu": 1}, "cpu"),
        ({"gpu": "g4dn.xlarge", "cpu": "m6i.large"}, {"cpu": 4}, "gpu"),
        ({"gpu": "g4dn.xlarge"}, {}, "gpu"),
        # Nobody knows what a new type has; AWS will say.
        ({"new": "m99i.large"}, {"cpu": 64}, "new"),
    ],
)
def test_the_first_group_that_has_room(groups: dict[str, str], compute: dict[str, Any], chosen: str) -> None:
    assert cluster(**groups).provider_for(Compute.model_validate(compute)).group == chosen


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (
            {"cpu": 16},
            "no instance of cluster demo has room for a replica that asks for 16384 CPU units (16 vCPU), 512 MiB (by "
            "default): the largest is g4dn.xlarge: 4096 CPU units, 15144 MiB, 1 GPU",
        ),
        (
            {"gpu": 2, "mem": "4Gi"},
            "no instance of cluster demo has room for a replica that asks for 205 CPU units (0.2 vCPU), 4096 MiB, "
            "2 GPUs: the largest is g4dn.xlarge: 4096 CPU units, 15144 MiB, 1 GPU",
        ),
        ({"inf": 1}, "cluster demo has no instance group for compute.inf"),
    ],
)
def test_what_fits_nowhere_is_refused_with_the_numbers(compute: dict[str, Any], message: str) -> None:
    with pytest.raises(DeployError) as refusal:
        cluster(cpu="m6i.large", gpu="g4dn.xlarge").provider_for(Compute.model_validate(compute))
    assert refusal.value.message == message
    assert "cortex cluster configure" in (refusal.value.hint or "")


@pytest.mark.parametrize(
    ("compute", "name", "count"),
    [
        ({}, "m6i.large", 9),  # 2048 / 205 CPU units
        ({"cpu": "100m"}, "m6i.large", 14),  # 7444 / 512 MiB
        ({"gpu": 1}, "g4dn.12xlarge", 4),
        ({"inf": 1}, "inf1.6xlarge", 1),
        ({"mem": "1Ti"}, "m6i.large", 0),
    ],
)
def test_how_many_replicas_an_instance_holds(compute: dict[str, Any], name: str, count: int) -> None:
    assert per_instance(Compute.model_validate(compute), instance_types()[name]) == count
