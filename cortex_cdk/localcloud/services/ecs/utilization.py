"""Measures the processors and the memory of services, namespace ``AWS/ECS``: percents of what their tasks reserve.

Source of names, dimensions and formulas: "Amazon ECS service utilization metrics" of the ECS Developer Guide.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil

from cortex_cdk.localcloud.containers import memory_limit, process_table
from cortex_cdk.localcloud.containers.driver import TaskDriver
from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.ecs.backend import backends
from cortex_cdk.localcloud.state_lock import STATE_LOCK

NAMESPACE = "AWS/ECS"
CPU_UNITS = 1024
MEBIBYTE = 2**20


@dataclass(frozen=True)
class _Measured:
    """A task that runs: where its values belong, and what it reserves."""

    id: str
    pid: int
    region: str
    cluster: str
    service: str
    cpu_units: int
    memory_mib: int


class Utilization:
    """Measures from one call to the next.

    Args:
        driver: Runs the containers.
    """

    def __init__(self, driver: TaskDriver) -> None:
        self._driver = driver
        self._holdings = memory_limit.Holdings()
        self._before: dict[str, float] = {}
        self._measured_at = time.monotonic()

    def record(self, at: float) -> None:
        """Add what each task used since the last call to CloudWatch.

        Args:
            at: A moment of that time, in seconds since the epoch.
        """
        with STATE_LOCK:
            tasks = list(self._tasks())
        table = process_table.read()
        elapsed = time.monotonic() - self._measured_at
        self._measured_at += elapsed
        before, self._before = self._before, {task.id: _cpu_seconds(table.tree(task.pid)) for task in tasks}
        held = self._holdings.look([task.pid for task in tasks], table)
        with STATE_LOCK:
            for task in tasks:
                store = cloudwatch.store(task.region)
                service = {"ClusterName": task.cluster, "ServiceName": task.service}
                if task.id in before and task.cpu_units and elapsed > 0:
                    used = max(0.0, self._before[task.id] - before[task.id]) / elapsed
                    percent = 100 * used * CPU_UNITS / task.cpu_units
                    store.add(NAMESPACE, "CPUUtilization", service, [(percent, 1.0)], at=at, unit="Percent")
                if task.memory_mib:
                    percent = 100 * held[task.pid] / (task.memory_mib * MEBIBYTE)
                    store.add(NAMESPACE, "MemoryUtilization", service, [(percent, 1.0)], at=at, unit="Percent")

    def _tasks(self) -> Iterator[_Measured]:
        for backend in backends():
            for task in backend.all_tasks():
                kind, _, service = task.group.partition(":")
                pid = self._driver.pid(task.id)
                if kind == "service" and pid is not None and task.last_status == "RUNNING":
                    cluster = task.cluster_name
                    reserved = task.demand.resources
                    yield _Measured(task.id, pid, backend.region_name, cluster, service, reserved.cpu, reserved.memory)


def _cpu_seconds(pids: Iterable[int]) -> float:
    """The processor time of processes, and of those of their children that have ended."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
