"""Estimates what a cluster costs, from a dated table of list prices, ``prices.json``.

The table holds prices that are known for certain, for one region. An estimate names what has no price there, and never
guesses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cortex_cdk.capacity.fit import per_instance
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.config import Cluster, Compute, InstanceGroup
from cortex_cdk.config.sections.instance_group import FREE_GP3_THROUGHPUT

TABLE = Path(__file__).with_name("prices.json")
HOURS_A_MONTH = 730
# A load balancer needs two zones; the cluster's stack takes the first two of the region.
DEFAULT_ZONES = 2
FREE_GP3_IOPS = 3000

EXTRA = "traffic, logs, images and what each API adds (alarms, metrics) are paid on top"


@dataclass(frozen=True)
class Prices:
    """List prices of one region, in USD.

    Attributes:
        as_of: The month in which the prices were read, such as ``2026-11``.
        region: The region of the prices.
        instance_hour: On-demand Linux instances, by type.
        volume_gib_month: Storage of EBS volumes, by type.
        gp3_throughput_month: A MiB/s of a gp3 volume above those in its price.
        load_balancer_hour: An Application Load Balancer without traffic.
        public_address_hour: A public IPv4 address.
        nat_gateway_hour: A NAT gateway without traffic.
        dashboard_month: A CloudWatch dashboard beyond the first three of an account.
    """

    as_of: str
    region: str
    instance_hour: dict[str, float]
    volume_gib_month: dict[str, float]
    gp3_throughput_month: float
    load_balancer_hour: float
    public_address_hour: float
    nat_gateway_hour: float
    dashboard_month: float


@cache
def prices() -> Prices:
    """Return the table of prices."""
    table = json.loads(TABLE.read_text())
    return Prices(**{name: table[name] for name in Prices.__dataclass_fields__})


@dataclass(frozen=True)
class Item:
    """One line of an estimate.

    Attributes:
        name: What is paid for, such as ``cpu: m6i.large``.
        fewest: Smallest number of pieces.
        most: Largest number of pieces.
        least: USD for an hour, at least.
        highest: USD for an hour, at most.
    """

    name: str
    fewest: int
    most: int
    least: float
    highest: float

    @property
    def monthly(self) -> tuple[float, float]:
        """USD for a month of 730 hours, at least and at most."""
        return self.least * HOURS_A_MONTH, self.highest * HOURS_A_MONTH


@dataclass(frozen=True)
class Estimate:
    """The cost of a cluster.

    Attributes:
        items: The lines.
        unknown: Things that have no price in the table, and are not counted.
        notes: Conditions of the estimate, one sentence each.
    """

    items: tuple[Item, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def hourly(self) -> tuple[float, float]:
        """USD for an hour, at least and at most."""
        return sum(item.least for item in self.items), sum(item.highest for item in self.items)

    @property
    def monthly(self) -> tuple[float, float]:
        """USD for a month of 730 hours, at least and at most."""
        least, highest = self.hourly
        return least * HOURS_A_MONTH, highest * HOURS_A_MONTH

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``cortex cluster info -o json`` prints."""
        return {
            "currency": "USD",
            "hourly": {"min": round(self.hourly[0], 4), "max": round(self.hourly[1], 4)},
            "monthly": {"min": round(self.monthly[0], 2), "max": round(self.monthly[1], 2)},
            "items": [
                {
                    "name": item.name,
                    "count": {"min": item.fewest, "max": item.most},
                    "hourly": {"min": round(item.least, 4), "max": round(item.highest, 4)},
                }
                for item in self.items
            ],
            "unknown": list(self.unknown),
            "notes": list(self.notes),
        }


def estimate(cluster: Cluster) -> Estimate:
    """Estimate what a cluster costs with the fewest and with the most instances."""
    table = prices()
    items: list[Item] = []
    unknown: list[str] = []
    for group in cluster.instance_groups:
        for part, missing in (_instances(group, table), _volumes(group, table)):
            items += [part] if part else []
            unknown += missing
    items += _shared(cluster, table)
    return Estimate(tuple(items), tuple(dict.fromkeys(unknown)), tuple(_notes(cluster, table)))


@dataclass(frozen=True)
class ReplicaGroup:
    """The replicas of an API, as far as they cost something.

    Attributes:
        name: The API.
        compute: What a replica asks for.
        fewest: ``min_replicas``.
        most: ``max_replicas``.
        instance_types: The types that they run on, in order of preference.
        max_instances: How many instances the group may have.
    """

    name: str
    compute: Compute
    fewest: int
    most: int
    instance_types: Sequence[str]
    max_instances: int


def estimate_replicas(groups: Sequence[ReplicaGroup], region: str) -> Estimate:
    """Estimate what the instances of some APIs cost, as if each API had its instances for itself.

    Args:
        groups: The replicas of each API.
        region: Where they run.
    """
    table, known = prices(), instance_types()
    items, unknown = [], []
    for group in groups:
        rooms = {name: per_instance(group.compute, known[name]) for name in group.instance_types if name in known}
        priced = {name: room for name, room in rooms.items() if room and name in table.instance_hour}
        unknown += [name for name in group.instance_types if name not in priced]
        if not priced:
            continue
        least = {name: math.ceil(group.fewest / room) for name, room in priced.items()}
        most = {name: min(math.ceil(group.most / room), group.max_instances) for name, room in priced.items()}
        items.append(
            Item(
                f"{group.name}: {' or '.join(priced)}",
                min(least.values()),
                max(most.values()),
                min(count * table.instance_hour[name] for name, count in least.items()),
                max(count * table.instance_hour[name] for name, count in most.items()),
            )
        )
    notes = (
        "instances of min_replicas to max_replicas, as if no API shared its instances with others: APIs that share "
        "them, and instances that run anyway, cost less",
        *_region_notes(region, table),
    )
    return Estimate(tuple(items), tuple(dict.fromkeys(unknown)), notes)


def _instances(group: InstanceGroup, table: Prices) -> tuple[Item | None, list[str]]:
    """Price a group's instances: EC2 may start any type, so the bounds are the cheapest and the dearest type."""
    missing = [name for name in group.instance_types if name not in table.instance_hour]
    known = [table.instance_hour[name] for name in group.instance_types if name in table.instance_hour]
    if not known:
        return None, missing
    types = " or ".join(name for name in group.instance_types if name not in missing)
    item = Item(
        f"{group.name}: {types}",
        group.min_instances,
        group.max_instances,
        group.min_instances * min(known),
        group.max_instances * max(known),
    )
    return item, missing


def _volumes(group: InstanceGroup, table: Prices) -> tuple[Item | None, list[str]]:
    volume = group.volume
    month = table.volume_gib_month.get(volume.type)
    if month is None:
        return None, [f"{volume.type} volumes"]
    throughput = max(0, (volume.provisioned_throughput or 0) - FREE_GP3_THROUGHPUT)
    hour = (month * volume.size + table.gp3_throughput_month * throughput) / HOURS_A_MONTH
    fewest, most = group.min_instances, group.max_instances
    item = Item(f"{group.name}: {volume.size} GiB {volume.type} volume", fewest, most, fewest * hour, most * hour)
    return item, [f"IOPS above {FREE_GP3_IOPS}"] if (volume.iops or 0) > FREE_GP3_IOPS else []


def _shared(cluster: Cluster, table: Prices) -> Iterator[Item]:
    yield _fixed("load balancer", 1, table.load_balancer_hour)
    gateways = nat_gateways(cluster)
    if gateways:
        yield _fixed("NAT gateway", gateways, table.nat_gateway_hour)
    fixed = gateways + (zones(cluster) if cluster.load_balancer.scheme == "internet-facing" else 0)
    public = cluster.subnet_visibility == "public"
    fewest = fixed + sum(group.min_instances for group in cluster.instance_groups if public)
    most = fixed + sum(group.max_instances for group in cluster.instance_groups if public)
    if most:
        hour = table.public_address_hour
        yield Item("public IPv4 address", fewest, most, fewest * hour, most * hour)
    # The first three dashboards of an account are free.
    yield Item("dashboard", 0, 1, 0, table.dashboard_month / HOURS_A_MONTH)


def _fixed(name: str, count: int, hour: float) -> Item:
    return Item(name, count, count, count * hour, count * hour)


def zones(cluster: Cluster) -> int:
    """Return the number of availability zones of a cluster's load balancer."""
    return len(cluster.availability_zones or cluster.vpc.public_subnets or cluster.vpc.private_subnets) or DEFAULT_ZONES


def nat_gateways(cluster: Cluster) -> int:
    """Return the number of NAT gateways that a cluster's stack makes."""
    return {"none": 0, "single": 1, "highly_available": zones(cluster)}[cluster.nat_gateway]


def _notes(cluster: Cluster, table: Prices) -> Iterator[str]:
    yield from _region_notes(cluster.region, table)
    if any(group.spot for group in cluster.instance_groups):
        yield "spot instances are counted at the on-demand price; most cost less"


def _region_notes(region: str, table: Prices) -> Iterator[str]:
    yield f"list prices of {table.region}, {table.as_of}; {EXTRA}"
    if region != table.region:
        yield f"the prices of {region} are not known here, and may differ: aws.amazon.com/ec2/pricing"
