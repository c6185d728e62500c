"""Decides what of a cluster's configuration may be changed while it runs. Pure: reads nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cdk.capacity.fit import group_rank, largest, request_in_words, room_in_words
from cortex_cdk.config import Cluster, Compute, InstanceGroup

GROUPS = "instance_groups"
NETWORK = "the network cannot be changed beneath instances and load balancer"
FIXED = {
    "vpc": NETWORK,
    "availability_zones": NETWORK,
    "subnet_visibility": NETWORK,
    "load_balancer.scheme": "the load balancer would be made anew, with another address and without the APIs' rules",
}


@dataclass(frozen=True)
class Difference:
    """A field that would change.

    Attributes:
        field: Its path, such as ``instance_groups.cpu.max_instances``; groups go by name.
        before: Its value now, as JSON has it; None where there is none.
        after: Its value afterwards.
    """

    field: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """What a plan in JSON says of the field."""
        return {"field": self.field, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        return f"{self.field}: {in_words(self.before)} -> {in_words(self.after)}"


def in_words(value: Any) -> str:
    """Write a value as a line of text."""
    if value is None or value in ([], {}):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def differences(before: Cluster, after: Cluster) -> tuple[Difference, ...]:
    """List the fields in which two configurations of a cluster differ. A group that is new or gone is one field.

    Args:
        before: What the cluster is.
        after: What it should be.
    """
    old, new = dict(_fields(before)), dict(_fields(after))
    whole = _groups_in_words(before), _groups_in_words(after)
    found = []
    for name in dict.fromkeys([*whole[0], *whole[1]]):
        if name not in whole[0] or name not in whole[1]:
            found.append(Difference(f"{GROUPS}.{name}", whole[0].get(name), whole[1].get(name)))
    parts = tuple(f"{difference.field}." for difference in found)
    for field in dict.fromkeys([*old, *new]):
        if old.get(field) != new.get(field) and not field.startswith(parts):
            found.append(Difference(field, old.get(field), new.get(field)))
    return tuple(found)


def _groups_in_words(cluster: Cluster) -> dict[str, str]:
    return {group.name: _group_in_words(group) for group in cluster.instance_groups}


def _group_in_words(group: InstanceGroup) -> str:
    return f"{group.min_instances} to {group.max_instances} of {' or '.join(group.instance_types)}"


def _fields(cluster: Cluster) -> Iterator[tuple[str, Any]]:
    document = cluster.model_dump(mode="json")
    groups = document.pop(GROUPS)
    yield from _flat("", document)
    for group in groups:
        yield from _flat(f"{GROUPS}.{group['name']}.", group)


def _flat(prefix: str, document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def refusals(before: Cluster, after: Cluster, in_use: Mapping[str, Mapping[str, Compute]]) -> tuple[str, ...]:
    """Say why a running cluster cannot be changed so.

    Args:
        before: What the cluster is.
        after: What it should be.
        in_use: What a replica of each deployed API asks for, by the instance group that it runs on and the API.

    Returns:
        One line for each reason; empty where the cluster can be changed.
    """
    fixed = (_refusal(difference) for difference in differences(before, after))
    reasons = (reason for reason in fixed if reason)
    return (*reasons, *_tls_refusal(before, after), *_group_refusals(before, after, in_use))


def _refusal(difference: Difference) -> str | None:
    for field, reason in FIXED.items():
        if difference.field == field or difference.field.startswith(f"{field}."):
            return f"{difference}: {reason}"
    if difference.field == "cloudformation_role" and difference.after is None:
        return f"{difference}: CloudFormation keeps the role of a stack; name another one"
    return None


def _tls_refusal(before: Cluster, after: Cluster) -> Iterator[str]:
    if not before.is_tls or after.is_tls:
        return
    for difference in differences(before, after):
        if difference.field in ("domain", "load_balancer.certificate_arn"):
            yield f"{difference}: the APIs' rules are on the HTTPS listener, which would go with the certificate"


def _group_refusals(before: Cluster, after: Cluster, in_use: Mapping[str, Mapping[str, Compute]]) -> Iterator[str]:
    kept = {group.name: group for group in after.instance_groups}
    for group in before.instance_groups:
        if group.name not in kept:
            if group.name in in_use:
                yield (
                    f"{GROUPS}.{group.name}: APIs run on it; first delete them, or put another group before it "
                    "and deploy them again"
                )
        elif kept[group.name].accelerator != group.accelerator:
            yield (
                f"{GROUPS}.{group.name}: instances with another accelerator need another machine image; "
                "add them as a group with a name of its own"
            )
        elif kept[group.name].instance_types != group.instance_types:
            yield from _without_room(kept[group.name], in_use.get(group.name, {}))


def _without_room(group: InstanceGroup, apis: Mapping[str, Compute]) -> Iterator[str]:
    """APIs that go on as long as their instances do, and whose next replica would have no place."""
    for api, compute in apis.items():
        if not group_rank(compute, group.instance_types):
            yield (
                f"{GROUPS}.{group.name}: {api} runs on it, and a replica asks for {request_in_words(compute)}: the "
                f"largest of these types is {room_in_words(largest(compute, group.instance_types))}"
            )
