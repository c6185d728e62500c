"""Lets replicas of a service crash, slow down or fail their health checks for a while.

A fault is stored with its service. It strikes the oldest replica that runs. ``ReplicaFaults`` acts in each round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.containers.driver import TaskDriver
from cortex_cdk.localcloud.containers.throttle import Throttle
from cortex_cdk.localcloud.faults import KILL_REPLICA, SLOW_REPLICA, UNREADY_REPLICA
from cortex_cdk.localcloud.services.ecs import target_registration
from cortex_cdk.localcloud.services.ecs.backend import backends
from cortex_cdk.localcloud.services.ecs.scheduler import is_of
from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.services.ecs.task import Task
from cortex_cdk.localcloud.state_lock import STATE_LOCK


@dataclass(frozen=True)
class ReplicaFault:
    """A fault of one service.

    Attributes:
        until: When the fault ends, in seconds since the epoch.
        victim: Id of the task that was struck last; None before the first.
    """

    until: float
    victim: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is struck."""
        return self.victim is not None and steady_clock.now() >= self.until


def begin(service: Service, kind: str, seconds: float) -> None:
    """Make a fault.

    Args:
        service: The service.
        kind: One of ``faults.REPLICA_KINDS``.
        seconds: For how long; 0 kills one replica once.

    Raises:
        ValueError: No replica of the service runs.
    """
    if not service.running_count:
        raise ValueError(f"no replica of {service.name} runs now")
    service.faults = {**service.faults, kind: ReplicaFault(steady_clock.now() + seconds)}


def end(service: Service, kind: str) -> None:
    """End a fault early."""
    victim = service.faults[kind].victim if kind in service.faults else None
    for task in (task for backend in backends() for task in backend.all_tasks() if task.id == victim):
        target_registration.fail_checks(task, 0.0)
    service.faults = {name: fault for name, fault in service.faults.items() if name != kind}


class ReplicaFaults:
    """Does to replicas what the stored faults say.

    Args:
        driver: Runs the containers.
    """

    def __init__(self, driver: TaskDriver) -> None:
        self._driver = driver
        self._throttles: dict[str, Throttle] = {}

    def act(self) -> None:
        """Do one round."""
        slowed: set[str] = set()
        with STATE_LOCK:
            for backend in backends():
                for service in backend.all_services():
                    if service.faults:
                        running = [task for task in backend.all_tasks() if is_of(task, service) and _serves(task)]
                        service.faults = self._acted(service, running)
                        slowed.update(_victims(service.faults, SLOW_REPLICA))
        for task_id in self._throttles.keys() - slowed:
            self._throttles.pop(task_id).end()

    def close(self) -> None:
        """Let all containers run on, so that they can stop."""
        for throttle in self._throttles.values():
            throttle.end()

    def _acted(self, service: Service, running: Sequence[Task]) -> Mapping[str, ReplicaFault]:
        found = {kind: self._one(service, kind, fault, running) for kind, fault in service.faults.items()}
        return {kind: fault for kind, fault in found.items() if fault is not None and not fault.is_over}

    def _one(self, service: Service, kind: str, fault: ReplicaFault, running: Sequence[Task]) -> ReplicaFault | None:
        """Strike, and return the fault as it goes on; None where its replica is gone."""
        if kind == KILL_REPLICA:
            return self._kill(service, fault, running)
        victim = next((task for task in running if fault.victim in (None, task.id)), None)
        if victim is None:
            return None
        if kind == UNREADY_REPLICA:
            target_registration.fail_checks(victim, fault.until)
        elif victim.id not in self._throttles and (leader := self._driver.pid(victim.id)):
            self._throttles[victim.id] = Throttle(leader, fault.until)
        return replace(fault, victim=victim.id)

    def _kill(self, service: Service, fault: ReplicaFault, running: Sequence[Task]) -> ReplicaFault:
        """Kill a replica, and the next one when all are back: never two at a time."""
        is_back = service.is_steady and all(task.id != fault.victim for task in running)
        if not running or (fault.victim and not is_back):
            return fault
        self._driver.kill(running[0].id)
        return replace(fault, victim=running[0].id)


def _serves(task: Task) -> bool:
    return task.is_wanted and task.last_status == "RUNNING"


def _victims(faults: Mapping[str, ReplicaFault], kind: str) -> set[str]:
    fault = faults.get(kind)
    return {fault.victim} if fault and fault.victim else set()
