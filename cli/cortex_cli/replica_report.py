"""Turns what replicas use and serve into the text of ``cortex get``. Pure, as ``get_report``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cortex_cdk.replicas.running import Replica
from cortex_cdk.replicas.usage import GpuUsage, Usage
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import age, table

NOTHING = "-"
ID_DIGITS = 8
NARROW = 72
"""Below so many characters, a replica's state is told only where there is no health."""


def used(usage: Sequence[Usage]) -> dict[str, str]:
    """Return processors and memory of replicas, as columns: the mean, and of several the most."""
    cpu = [one.cpu for one in usage if one.cpu is not None]
    memory = [one.memory_bytes for one in usage if one.memory_bytes is not None]
    gpus = [gpu for one in usage for gpu in one.gpus]
    cells = {}
    if cpu:
        cells["CPU"] = f"{sum(cpu) / len(cpu):.2f}" + (f", most {max(cpu):.2f}" if len(cpu) > 1 else "")
    if memory:
        cells["memory"] = size(sum(memory) / len(memory)) + (f", most {size(max(memory))}" if len(memory) > 1 else "")
    if gpus:
        cells["GPU"] = _gpus(gpus)
    return cells


def replica_table(replicas: Sequence[Replica], now: datetime, width: int | None = None) -> str:
    """Return a row for each replica, and below them what went wrong.

    Args:
        replicas: At least one.
        now: The moment that ages are counted to.
        width: Characters in a line of the terminal; None where there is none.
    """
    has_gpus = any(replica.usage and replica.usage.gpus for replica in replicas)
    narrow = width is not None and width < NARROW
    rows = [
        {
            "replica": replica.id[:ID_DIGITS],
            "revision": (replica.revision or NOTHING)[: ID_DIGITS if narrow else None],
            **({} if narrow else {"state": replica.state}),
            "health": replica.health or (replica.state if narrow else NOTHING),
            "started": age(replica.started, now) if replica.started else NOTHING,
            "CPU": NOTHING if replica.usage is None or replica.usage.cpu is None else f"{replica.usage.cpu:.2f}",
            "memory": _memory(replica),
            **({"GPU": _gpus(replica.usage.gpus) if replica.usage else NOTHING} if has_gpus else {}),
        }
        for replica in replicas
    ]
    return "\n".join([table(rows, width), *(line for replica in replicas for line in _trouble(replica, now))])


def _trouble(replica: Replica, now: datetime) -> list[str]:
    whose = replica.id[:ID_DIGITS]
    lines = []
    if replica.health_reason and replica.health != "healthy":
        lines.append(on_stdout(f"{whose} is {replica.health}: {replica.health_reason}"))
    if replica.last_error:
        error = replica.last_error
        lines.append(on_stdout(f"last error of {whose}, {age(error.time, now)} ago: {error.message}"))
    return lines


def model_table(replicas: Sequence[Replica], width: int | None = None) -> str:
    """Return the models that replicas serve; where these differ, how many serve each version. Empty without models."""
    serving: dict[tuple[str, str], int] = {}
    telling = [replica.usage for replica in replicas if replica.usage]
    for usage in telling:
        for name, versions in usage.models.items():
            for version in versions:
                serving[name, version] = serving.get((name, version), 0) + 1
    rows = [
        {"model": name, "version": version, "replicas": f"{count} of {len(telling)}"}
        for (name, version), count in sorted(serving.items())
    ]
    return table(rows, width) if rows else ""


def _memory(replica: Replica) -> str:
    held = replica.usage.memory_bytes if replica.usage else None
    limit = replica.memory_limit_bytes
    if held is None:
        return NOTHING
    if not limit:
        return size(held)
    number, unit = size(held).split()
    return f"{number} of {size(limit)}" if size(limit).endswith(f" {unit}") else f"{size(held)} of {size(limit)}"


def _gpus(gpus: Sequence[GpuUsage]) -> str:
    return ", ".join(map(_gpu, gpus)) or NOTHING


def _gpu(gpu: GpuUsage) -> str:
    share = NOTHING if gpu.percent is None else f"{gpu.percent:.0f} %"
    if gpu.memory_bytes is None:
        return share
    total = f" of {size(gpu.memory_total_bytes)}" if gpu.memory_total_bytes else ""
    return f"{share} {size(gpu.memory_bytes)}{total}"


def size(count: float) -> str:
    """Return bytes with three digits: ``210 MiB``, ``1.5 GiB``."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units[:-1]:
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} {units[-1]}"
