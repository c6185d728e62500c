"""Estimates against sums made by hand from the prices of the reference (aws.md, section 8)."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.capacity.pricing import estimate, prices
from cortex_cdk.config import Cluster
from cortex_cdk.config.sections.instance_group import accelerator_of

CPU = {"name": "cpu", "instance_types": ["m6i.large"], "min_instances": 1, "max_instances": 1}


def cluster(**settings: Any) -> Cluster:
    return Cluster.model_validate({"instance_groups": [CPU], **settings})


def test_the_smallest_cluster() -> None:
    cost = estimate(cluster(instance_groups=[{**CPU, "volume": {"size": 100}}]))
    # m6i.large 70.08 + 100 GiB gp3 8.00 + 125 MiB/s above those of its price 5.00 + load balancer 16.425 + 3 addresses
    # 10.95; a dashboard may be 3.00 more.
    assert cost.monthly == pytest.approx((110.455, 113.455))
    assert cost.unknown == ()


def test_all_types_of_the_built_in_cluster_have_a_price() -> None:
    assert estimate(Cluster.default()).unknown == ()


def test_fewest_and_most_instances() -> None:
    gpu = {"name": "gpu", "instance_types": ["g4dn.xlarge"], "min_instances": 0, "max_instances": 3}
    cost = estimate(cluster(instance_groups=[gpu]))
    disk = (50 * 0.08 + 125 * 0.04) / 730
    assert cost.hourly[0] == pytest.approx(0.0225 + 2 * 0.005)
    assert cost.hourly[1] == pytest.approx(3 * (0.526 + disk + 0.005) + 0.0225 + 2 * 0.005 + 3 / 730)


def test_any_of_several_types_may_run() -> None:
    group = {"name": "cpu", "instance_types": ["c6i.xlarge", "m6i.large"], "min_instances": 2, "max_instances": 2}
    item = estimate(cluster(instance_groups=[group])).items[0]
    assert (item.least, item.highest) == pytest.approx((2 * 0.096, 2 * 0.17))


@pytest.mark.parametrize(
    ("settings", "addresses", "gateways"),
    [
        ({}, 2 + 1, 0),
        ({"load_balancer": {"scheme": "internal"}}, 1, 0),
        ({"subnet_visibility": "private"}, 2 + 1, 1),
        ({"subnet_visibility": "private", "nat_gateway": "highly_available"}, 2 + 2, 2),
        ({"availability_zones": ["us-east-1a", "us-east-1b", "us-east-1c"]}, 3 + 1, 0),
    ],
)
def test_addresses_and_gateways(settings: dict[str, Any], addresses: int, gateways: int) -> None:
    counts = {item.name: item.most for item in estimate(cluster(**settings)).items}
    assert counts.get("public IPv4 address", 0) == addresses
    assert counts.get("NAT gateway", 0) == gateways


@pytest.mark.parametrize("family", ["t3", "m5", "m6i", "m7i", "c5", "c6i", "c7i", "r5", "r6i", "g4dn", "g5"])
def test_common_families_have_the_sizes_that_models_need(family: str) -> None:
    sizes = ["xlarge", "2xlarge", *(["4xlarge"] if family != "t3" else [])]
    group = {"name": "cpu", "instance_types": [f"{family}.{size}" for size in sizes]}
    assert estimate(cluster(instance_groups=[group])).unknown == ()


def test_a_size_costs_in_proportion_to_its_cpus() -> None:
    """True of the families without accelerators: a slip of the pen shows."""
    for name, hour in prices().instance_hour.items():
        known = instance_types()[name]
        reference = f"{name.partition('.')[0]}.xlarge"
        if not (known.gpus or known.chips) and known.vcpus >= instance_types()[reference].vcpus:
            hour_of_a_cpu = prices().instance_hour[reference] / instance_types()[reference].vcpus
            assert hour == pytest.approx(hour_of_a_cpu * known.vcpus), name


def test_what_has_no_price_is_named_and_not_counted() -> None:
    group = {"name": "cpu", "instance_types": ["m8i.large"], "volume": {"type": "io2"}}
    cost = estimate(cluster(instance_groups=[group]))
    assert cost.unknown == ("m8i.large", "io2 volumes")
    assert {item.name for item in cost.items} == {"load balancer", "public IPv4 address", "dashboard"}


def test_notes_say_where_the_prices_are_from() -> None:
    assert any("us-east-1, 2026-11" in note for note in estimate(cluster()).notes)
    elsewhere = estimate(cluster(region="eu-west-1")).notes
    assert any("prices of eu-west-1 are not known" in note for note in elsewhere)
    spot = estimate(cluster(instance_groups=[{**CPU, "spot": True}])).notes
    assert any("spot" in note for note in spot)


def test_the_table_names_types_that_can_be_used() -> None:
    for name in prices().instance_hour:
        known = instance_types()[name]
        assert known.architecture == "x86_64"
        assert bool(known.gpus) == (accelerator_of(name) == "gpu")


def test_json() -> None:
    document = estimate(cluster()).as_json()
    assert document["monthly"]["min"] == pytest.approx(document["hourly"]["min"] * 730, abs=0.1)
    assert [item["name"] for item in document["items"]][:2] == ["cpu: m6i.large", "cpu: 50 GiB gp3 volume"]
