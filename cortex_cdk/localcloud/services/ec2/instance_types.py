"""Lets instance types have no more GPUs than this machine, on which their tasks run."""

from __future__ import annotations

from typing import Any

from cortex_cdk.localcloud.containers import gpus


def install() -> None:
    """Let DescribeInstanceTypes show the GPUs that a task can get."""
    from moto.ec2.models.instance_types import InstanceTypeBackend

    known = InstanceTypeBackend.describe_instance_types

    def describe_instance_types(self: InstanceTypeBackend, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
        return [_as_here(dict(one)) for one in known(self, *arguments, **named)]

    InstanceTypeBackend.describe_instance_types = describe_instance_types  # type: ignore[method-assign, assignment]


def _as_here(described: dict[str, Any]) -> dict[str, Any]:
    info = described.pop("GpuInfo", None)
    there = len(gpus.devices()) if info else 0
    models = [{**model, "Count": min(model["Count"], there)} for model in info["Gpus"]] if info and there else []
    return {**described, "GpuInfo": {**info, "Gpus": models}} if models else described
