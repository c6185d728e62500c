"""Reads what replicas use and serve, from the line that each of them logs every ten seconds.

The line is there anyway, for the metric of requests in flight. A metric of each replica would cost 0.30 USD a month,
and the metrics of ECS know the service only (docs/decisions/0064).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from cortex_serving.contract import REPORT_SECONDS, USAGE_FIELD

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.logs import search

# A line, one that comes late, and the time that CloudWatch takes to show it.
LATEST = timedelta(seconds=4 * REPORT_SECONDS + 5)


@dataclass(frozen=True)
class GpuUsage:
    """One GPU of a replica; None where its driver does not tell.

    Attributes:
        percent: Share of the last moments in which it worked.
        memory_bytes: Its memory that is held.
        memory_total_bytes: Its memory.
    """

    percent: float | None
    memory_bytes: float | None
    memory_total_bytes: float | None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return {
            "percent": self.percent,
            "memory_bytes": self.memory_bytes,
            "memory_total_bytes": self.memory_total_bytes,
        }


@dataclass(frozen=True)
class Usage:
    """What one replica used in the last seconds, and what it serves.

    Attributes:
        revision: The API's revision that it runs.
        cpu: Processors that were busy: 1 is one of them, all the time. None where that is not known.
        memory_bytes: Memory that it holds; None where that is not known.
        gpus: Its GPUs.
        models: Versions of its models, by name.
    """

    revision: str
    cpu: float | None = None
    memory_bytes: int | None = None
    gpus: tuple[GpuUsage, ...] = ()
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_usage(cloud: Cloud, group: str) -> dict[str, Usage]:
    """Read the newest line of each replica that runs, with one call.

    Args:
        cloud: A session of the environment.
        group: The API's log group.

    Returns:
        Usage by the id of the replica's task; what replicas of an older version do not tell is missing.
    """
    since = datetime.now(timezone.utc) - LATEST
    newest = {record.replica: record for record in search(cloud, group, USAGE_FIELD, since)}
    found = {replica: _usage(record.revision, record.fields.get(USAGE_FIELD)) for replica, record in newest.items()}
    return {replica: usage for replica, usage in found.items() if usage}


def usage_as_json(usage: Sequence[Usage]) -> dict[str, Any] | None:
    """What ``cortex get -o json`` prints: the mean and the most of all replicas that tell; None where none does."""
    if not usage:
        return None
    cpu = [one.cpu for one in usage if one.cpu is not None]
    memory = [one.memory_bytes for one in usage if one.memory_bytes is not None]
    return {
        "replicas": len(usage),
        "cpu": {"mean": round(sum(cpu) / len(cpu), 3), "max": max(cpu)} if cpu else None,
        "memory_bytes": {"mean": round(sum(memory) / len(memory)), "max": max(memory)} if memory else None,
    }


def _usage(revision: str, told: Any) -> Usage | None:
    """Take what a line tells. Replicas may be of another version: nothing is taken for granted."""
    if not isinstance(told, Mapping):
        return None
    memory, gpus, models = _number(told.get("memory_bytes")), told.get("gpus"), told.get("models")
    return Usage(
        revision=revision,
        cpu=_number(told.get("cpu")),
        memory_bytes=None if memory is None else int(memory),
        gpus=tuple(_gpu(gpu) for gpu in gpus if isinstance(gpu, Mapping)) if isinstance(gpus, Sequence) else (),
        models={str(name): tuple(map(str, versions)) for name, versions in models.items()}
        if isinstance(models, Mapping)
        else {},
    )


def _gpu(told: Mapping[str, Any]) -> GpuUsage:
    names = ("percent", "memory_bytes", "memory_total_bytes")
    return GpuUsage(*(_number(told.get(name)) for name in names))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
