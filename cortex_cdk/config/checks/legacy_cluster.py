"""Reads cluster files of the original Cortex: moves their fields to the fields of today.

A cluster of the original had one kind of instances and a flat file (reference ``cortex.md`` 6). Here it becomes a
cluster with one instance group. Fields without a counterpart become problems that say so.
"""

from __future__ import annotations

from typing import Any

from cortex_cdk import names
from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.document import Document, FieldPath

_FIELDS: dict[str, FieldPath] = {
    "cluster_name": ("name",),
    "vpc_cidr": ("vpc", "cidr"),
    "api_load_balancer_scheme": ("load_balancer", "scheme"),
    "ssl_certificate_arn": ("load_balancer", "certificate_arn"),
}
_GROUP_FIELDS: dict[str, FieldPath] = {
    "min_instances": ("min_instances",),
    "max_instances": ("max_instances",),
    "instance_volume_size": ("volume", "size"),
    "instance_volume_type": ("volume", "type"),
    "instance_volume_iops": ("volume", "iops"),
    "spot": ("spot",),
}
_SPOT_FIELDS: dict[str, str] = {
    "on_demand_base_capacity": "on_demand_base",
    "on_demand_percentage_above_base_capacity": "on_demand_percentage",
    "max_price": "max_price",
}
_INSTANCE_TYPE = "m5.large"
_HERE: FieldPath = ("instance_groups", 0)

_GONE: dict[str, str] = {
    "bucket": "the cluster's stack makes its bucket",
    "operator_load_balancer_scheme": "there is no operator",
    "api_gateway": "requests go straight to the load balancer",
    "iam_policy_arns": "each API names its own in predictor.iam_policies",
    "log_group": f"logs are in {names.log_group('<cluster>', '<api>')}",
    "telemetry": "nothing is sent anywhere",
    "instance_pools": "spot instances come from the pools with the most capacity",
    "on_demand_backup": "use on_demand_base_capacity, or an instance group without spot",
}


def modernize(document: Document, diagnosis: Diagnosis) -> None:
    """Move the fields of the original's cluster file, in place.

    Args:
        document: The file; a file with no such field stays as it is.
        diagnosis: Collects the fields that have no counterpart.
    """
    data: dict[str, Any] = document.data
    for old in [name for name in data if name in _GONE or name.startswith("image_")]:
        _refuse(document, diagnosis, (old,))
    for old, new in _FIELDS.items():
        if old in data:
            _move(document, (old,), new)
    group_fields = [*_GROUP_FIELDS, "instance_type", "spot_config"]
    if "instance_groups" not in data and any(name in data for name in group_fields):
        _make_group(document, diagnosis)


def _make_group(document: Document, diagnosis: Diagnosis) -> None:
    data: dict[str, Any] = document.data
    # The original had no name for its instances; the other values are its defaults.
    group: dict[str, Any] = {"name": "workers", "instance_types": [_INSTANCE_TYPE]}
    data["instance_groups"] = [group]
    if "instance_type" in data:
        document.move(("instance_type",), (*_HERE, "instance_types", 0))
    for old, new in _GROUP_FIELDS.items():
        if old in data:
            _move(document, (old,), (*_HERE, *new))
    group.setdefault("min_instances", 1)
    if data.get("spot_config") is not None:
        _move_spot(document, diagnosis, group)


def _move_spot(document: Document, diagnosis: Diagnosis, group: dict[str, Any]) -> None:
    config = document.data["spot_config"]
    if not isinstance(config, dict) or group.get("spot") is not True:
        diagnosis.add(("spot_config",), "must be a map, and needs spot to be true", at_key=True)
        del document.data["spot_config"]
        return
    group["spot"] = {}
    types = group["instance_types"]
    for index, name in enumerate(_list(config, "instance_distribution")):
        if name not in types:
            types.append(name)
            document.copy(("spot_config", "instance_distribution", index), (*_HERE, "instance_types", len(types) - 1))
    config.pop("instance_distribution", None)
    for old, new in _SPOT_FIELDS.items():
        if old in config:
            document.move(("spot_config", old), (*_HERE, "spot", new))
    for name in list(config):
        if name in _GONE:
            _refuse(document, diagnosis, ("spot_config", name))
        else:
            diagnosis.add(("spot_config", name), "is not a field here", at_key=True)
    del document.data["spot_config"]


def _list(config: dict[str, Any], name: str) -> list[Any]:
    value = config.get(name)
    return value if isinstance(value, list) else []


def _move(document: Document, old: FieldPath, new: FieldPath) -> None:
    """Move a field, unless the file has the new field too: then the old one stays, and is an unknown field."""
    parent = document.data
    for part in new[:-1]:
        parent = parent.setdefault(part, {}) if isinstance(parent, dict) else parent[part]
    if isinstance(parent, dict) and new[-1] not in parent:
        document.move(old, new)


def _refuse(document: Document, diagnosis: Diagnosis, path: FieldPath) -> None:
    name = str(path[-1])
    reason = _GONE.get(name, "predictor.image chooses the image of an API")
    diagnosis.add(
        path, f"is a field of the original Cortex that has no counterpart here: {reason}", "remove it", at_key=True
    )
    del document.at(path[:-1])[name]
