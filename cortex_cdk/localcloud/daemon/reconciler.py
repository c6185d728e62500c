"""Makes the machine match moto's back ends: tasks run, requests are routed, targets drain.

One thread looks at ECS services and the load balancer about four times a second (``Pace``: less often where there are
very many), at once when woken, and more often while targets drain. A request that changes something wakes the thread,
and so do the end of a process and another health of a target. What only time brings, such as the end of a grace period,
is noticed by the next look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from cortex_cdk.localcloud import cloudformation
from cortex_cdk.localcloud.containers import gpus, orphans
from cortex_cdk.localcloud.containers.driver import TaskDriver
from cortex_cdk.localcloud.daemon.clock import MinuteClock
from cortex_cdk.localcloud.pace import Pace
from cortex_cdk.localcloud.services.application_autoscaling import models as autoscaling_models
from cortex_cdk.localcloud.services.application_autoscaling import responses as autoscaling_responses
from cortex_cdk.localcloud.services.application_autoscaling.autoscaler import Autoscaler
from cortex_cdk.localcloud.services.autoscaling import groups
from cortex_cdk.localcloud.services.autoscaling import responses as group_responses
from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.codebuild import backend as builds
from cortex_cdk.localcloud.services.ecs import backend as ecs
from cortex_cdk.localcloud.services.ecs.fleet import Fleet
from cortex_cdk.localcloud.services.ecs.replica_faults import ReplicaFaults
from cortex_cdk.localcloud.services.ecs.scheduler import Scheduler
from cortex_cdk.localcloud.services.ecs.task_start import Starter
from cortex_cdk.localcloud.services.ecs.utilization import Utilization
from cortex_cdk.localcloud.services.elbv2 import draining, routing, targets, tls
from cortex_cdk.localcloud.services.elbv2.envoy import Envoy
from cortex_cdk.localcloud.services.elbv2.health import HealthChecker
from cortex_cdk.localcloud.services.logs import backend as logs
from cortex_cdk.localcloud.settings import Settings

logger = logging.getLogger(__name__)

TICK = 0.25
DRAINING_TICK = 0.05
SHORTEST_TICK = 0.02
STOP_TIMEOUT = 20.0
"""Seconds that containers have to drain when the local cloud stops."""


def install() -> None:
    """Make moto create our models of its resources.

    Call this before a back end is used or restored from a snapshot. More calls change nothing.
    """
    groups.install()
    group_responses.install()
    ecs.install()
    targets.install()
    tls.install()
    cloudwatch.install()
    logs.install()
    autoscaling_models.install()
    autoscaling_responses.install()


class Reconciler:
    """Runs tasks, routes requests to them and keeps services at their desired count.

    Args:
        settings: The state folder, the ports (real ones, not 0), and the speed of the clock.
    """

    def __init__(self, settings: Settings) -> None:
        install()
        builds.install(settings.state)
        self._settings = settings
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._envoy = Envoy(settings.state)
        self._health = HealthChecker(settings.speed, self.wake)
        self._driver = TaskDriver(settings.state, self.wake)
        starter = Starter(self._driver, settings.control_port)
        self._scheduler = Scheduler(self._driver, starter, Fleet(settings.speed), self._health.wake, settings.speed)
        self._replica_faults = ReplicaFaults(self._driver)
        self._autoscaler = Autoscaler(settings.speed)
        utilization = Utilization(self._driver)
        self._clock = MinuteClock(settings.speed, self._envoy, utilization, self._autoscaler, self.wake)
        self._thread = threading.Thread(target=self._run, name="data-plane", daemon=True)

    def start(self, *, died: bool = False) -> None:
        """Start everything. Call this when moto's state has been restored.

        Args:
            died: Whether the daemon before this one ended without being asked to.

        Raises:
            LocalCloudError: The load balancer does not start.
        """
        self._settings.state.mkdir(parents=True, exist_ok=True)
        orphans.end_all(self._settings.state)
        # Asked now: the first task that wants a GPU would hold the lock meanwhile.
        gpus.devices()
        builds.recover()
        self._scheduler.recover(died=died)
        self._envoy.start(self._table())
        self._driver.open()
        self._health.open()
        self._clock.open()
        self._thread.start()

    def stop(self) -> None:
        """Stop the load balancer and every task. The recorded services start their tasks again at the next start."""
        self._closing.set()
        builds.close()
        self.wake()
        self._thread.join()
        self._clock.close()
        cloudwatch.outdate()
        self._health.close()
        self._envoy.stop()
        self._replica_faults.close()
        self._driver.close(STOP_TIMEOUT)

    def wake(self) -> None:
        """Look at everything now, because something has changed."""
        self._woken.set()

    def metadata(self, task_id: str) -> dict[str, Any] | None:
        """Return what the task metadata endpoint (version 4, path ``/task``) answers for a task; None if unknown."""
        for backend in ecs.backends():
            for task in backend.all_tasks():
                if task.id == task_id:
                    return task.metadata()
        return None

    def _table(self) -> routing.Table:
        return routing.read(self._settings.http_port, self._settings.https_port or 0)

    def _run(self) -> None:
        pace = Pace(TICK)
        while not self._closing.is_set():
            with pace.round():
                is_draining = self._tick()
            # A burst of requests, each of which wakes this thread, must not keep a core busy.
            self._closing.wait(SHORTEST_TICK)
            self._woken.wait(DRAINING_TICK if is_draining else pace.pause)
            self._woken.clear()

    def _tick(self) -> bool:
        """Look at everything once. Return whether targets are draining."""
        for step in (
            self._autoscaler.keep_bounds,
            self._scheduler.tick,
            self._replica_faults.act,
            cloudformation.undo_updates_that_fail,
            self._autoscaler.follow_activities,
            self._envoy.keep_alive,
            self._apply_routes,
        ):
            _attempt(step)
        return bool(_attempt(self._drain))

    def _apply_routes(self) -> None:
        self._envoy.apply(self._table())

    def _drain(self) -> bool:
        """Remove the targets that have been drained. Return whether any target was draining."""
        if not draining.is_anything_draining():
            return False
        draining.remove_drained(self._envoy)
        return True


def _attempt(step: Callable[[], object]) -> object:
    """Do one step of a round. A failure is logged, and must not keep the other steps from being done."""
    try:
        return step()
    except Exception:
        logger.exception("The data plane could not finish a step of a round: %s.", step.__qualname__)
        return None
