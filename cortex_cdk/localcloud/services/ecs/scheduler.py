"""The ECS service scheduler: looks at tasks and services, decides, acts, and writes the outcome down.

Each round begins with the facts (ended containers, instances, health of targets) and compares them with the recorded
services. No round relies on the round before, so a lost step, an error or a restart of the daemon only costs time. The
decisions are pure functions elsewhere: ``rollout.decide`` (which tasks to start and stop), ``circuit_breaker``,
``instances.placement``. This module only reads, acts and writes.

The order inside a round matters:

1. Ends of containers come before decisions: a dead replica must not count as running.
2. Tasks stop before new ones start: on a full instance the stop makes the room.
3. Groups of instances are scaled last, when it is known which tasks still have no place.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from cortex_cdk.localcloud.containers.driver import TaskDriver
from cortex_cdk.localcloud.containers.launch import CannotStartError, Exit
from cortex_cdk.localcloud.services.ecs import deployment_alarms, target_registration
from cortex_cdk.localcloud.services.ecs.backend import EcsBackend, backends
from cortex_cdk.localcloud.services.ecs.circuit_breaker import CircuitBreaker
from cortex_cdk.localcloud.services.ecs.fleet import Fleet
from cortex_cdk.localcloud.services.ecs.free_capacity import FreeCapacity
from cortex_cdk.localcloud.services.ecs.rollout import Health, Replica, decide
from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.services.ecs.task import STOPPED_TASKS_KEPT, Task, now
from cortex_cdk.localcloud.services.ecs.task_start import Starter
from cortex_cdk.localcloud.services.elbv2.targets import groups
from cortex_cdk.localcloud.state_lock import STATE_LOCK

logger = logging.getLogger(__name__)

RESTARTED = "The local cloud was restarted."
DIED = "The local cloud ended unexpectedly, and was started again."
STOPPED_BY_US = "ServiceSchedulerInitiated"
UNPLACED = "was unable to place a task because no container instance met all of its requirements."
MORE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


class Scheduler:
    """Keeps ECS services at their desired counts, and rolls their deployments out.

    Args:
        driver: Runs the containers.
        starter: Turns a task into a running container.
        fleet: The instances that tasks are placed on.
        on_change: Is called when targets were registered or deregistered.
        speed: How many times shorter than configured the periods of alarms are.
    """

    def __init__(
        self, driver: TaskDriver, starter: Starter, fleet: Fleet, on_change: Callable[[], None], speed: float
    ) -> None:
        self._driver = driver
        self._starter = starter
        self._fleet = fleet
        self._on_change = on_change
        self._speed = speed
        self._circuit_breaker = CircuitBreaker()
        self._free: dict[str, FreeCapacity] = {}

    def recover(self, *, died: bool) -> None:
        """Write down that no task of an earlier daemon runs any more. Call this once, before the first round.

        The processes of an earlier daemon are ended, not adopted: they talk to that daemon's port.

        Args:
            died: Whether the earlier daemon ended without being asked to.
        """
        reason = DIED if died else RESTARTED
        with STATE_LOCK:
            for group in groups():
                group.registered.clear()
            for backend in backends():
                for task in backend.all_tasks():
                    if task.last_status != "STOPPED":
                        task.mark_stopped(
                            exit_code=None, container_reason=None, reason=reason, stop_code="TerminationNotice"
                        )
                for service in backend.all_services():
                    # A caller that asks before the first round must not see the counts of the last daemon.
                    self._write_counts(service, [])
                    service.is_steady = False

    def tick(self) -> None:
        """Do one round: look at all tasks and services once."""
        with STATE_LOCK:
            exits = {exit_.task_id: exit_ for exit_ in self._driver.exits()}
            unclaimed = set(exits)
            for backend in backends():
                tasks = backend.all_tasks()
                unclaimed.difference_update(task.id for task in tasks)
                self._tick(backend, tasks, exits)
            # Of tasks that were forgotten meanwhile: nobody will ever acknowledge these ends.
            for task_id in unclaimed:
                self._driver.acknowledge(task_id)
            services = [service for backend in backends() for service in backend.all_services()]
            self._circuit_breaker.keep_only({d["id"] for service in services for d in service.deployments})

    def _tick(self, backend: EcsBackend, tasks: list[Task], exits: Mapping[str, Exit]) -> None:
        """Look at one region.

        Args:
            backend: The ECS of the region.
            tasks: All tasks of the region at the beginning of the round.
            exits: The containers that have ended, by task id.
        """
        self._free = self._fleet.look(backend)
        for task in tasks:
            with _contained(f"task {task.id}"):
                self._follow(backend, task, exits.get(task.id))
        of_services: dict[tuple[str, str | None], list[Task]] = defaultdict(list)
        for task in tasks:
            of_services[task.cluster_name, task.group].append(task)
        for service in backend.all_services():
            with _contained(f"service {service.name}"):
                self._reconcile(backend, service, of_services[service.owner])
        self._fleet.scale(backend, self._wait_for_instances(backend))
        self._forget_stopped(backend)
        backend.count_for_clusters()

    def _follow(self, backend: EcsBackend, task: Task, ended: Exit | None) -> None:
        """Take one task a step further, to its start or its stop."""
        if ended is not None:
            self._ended(backend, task, ended)
            # Only now: had an error kept the end from being written down, the next round would hear of it again.
            self._driver.acknowledge(task.id)
        elif task.is_waiting and not task.group.startswith("service:"):
            self._place(backend, task)
        elif task.is_wanted and self._has_lost_instance(task):
            task.ask_to_stop("Host EC2 instance terminated.", "TerminationNotice")
        elif not task.is_wanted and task.last_status in {"PROVISIONING", "PENDING", "DEACTIVATING"}:
            self._wind_down(task)

    def _wind_down(self, task: Task) -> None:
        """Let a task's targets drain, then stop its container.

        SIGTERM comes only when no request is active on the targets any more. ECS does the same, and so no request fails
        in a rollout.
        """
        target_registration.deregister(task)
        if target_registration.is_attached(task):
            return
        # A task that was stopped before its container ran has no process.
        if self._driver.is_running(task.id):
            task.last_status = "STOPPING"
            self._driver.stop(task.id)
        else:
            task.mark_stopped(exit_code=None, container_reason=None, reason=RESTARTED, stop_code=STOPPED_BY_US)

    def _ended(self, backend: EcsBackend, task: Task, ended: Exit) -> None:
        # Asked first: ``mark_stopped`` makes the task unwanted. A task that somebody stopped has not failed.
        was_wanted = task.is_wanted
        target_registration.detach(task)
        self._on_change()
        task.mark_stopped(
            exit_code=ended.code,
            container_reason=ended.reason,
            reason="Essential container in task exited",
            stop_code="EssentialContainerExited",
        )
        if was_wanted:
            self._count_failure(backend, task)

    def _has_lost_instance(self, task: Task) -> bool:
        arn, free = task.container_instance_arn, self._free.get(task.cluster_name)
        return arn is not None and (free is None or not free.knows(arn))

    def _place(self, backend: EcsBackend, task: Task) -> str | None:
        """Put a task on an instance and start its container.

        Returns:
            None, or why the task has no place now, in the words of ECS's service events.
        """
        free = self._free[task.cluster_name]
        obstacle = self._starter.obstacle(backend, task)
        instance = None if obstacle else free.place(task.demand)
        if instance is None:
            return obstacle or free.obstacle(task.demand)
        task.put_on(instance.container_instance_arn, instance.zone)
        backend.add_task(task)
        self._start(backend, task)
        return None

    def _wait_for_instances(self, backend: EcsBackend) -> list[Task]:
        """Return the tasks that more instances would help: neither a GPU nor an image of this machine is missing."""
        helped, gpus = [], self._starter.free_gpus(backend)
        for task in backend.all_tasks():
            if task.is_waiting and task.demand.resources.gpus <= gpus and not self._starter.waits_for_image(task):
                helped.append(task)
                gpus -= task.demand.resources.gpus
        return helped

    def _start(self, backend: EcsBackend, task: Task) -> bool:
        """Start a task's container. Return whether the container runs."""
        reason = self._try_to_start(backend, task)
        if reason is None:
            return True
        task.mark_stopped(exit_code=None, container_reason=reason, reason=reason, stop_code="TaskFailedToStart")
        self._count_failure(backend, task)
        return False

    def _try_to_start(self, backend: EcsBackend, task: Task) -> str | None:
        """Start a task's container. Return why it cannot be started, in the words of the ECS agent; None if it can."""
        try:
            self._starter.start(backend, task)
        except CannotStartError as error:
            return str(error)
        except Exception as error:
            # A definition may make no sense. Without this the task would be PENDING for ever.
            logger.exception("Task %s could not be started.", task.id)
            return f"CannotStartContainerError: {type(error).__name__}: {error}"
        return None

    def _count_failure(self, backend: EcsBackend, task: Task) -> None:
        service = next((service for service in backend.all_services() if is_of(task, service)), None)
        if service is not None:
            self._circuit_breaker.record(service, task)

    def _reconcile(self, backend: EcsBackend, service: Service, tasks: list[Task]) -> None:
        """Bring one service a step closer to its desired count of replicas of the primary deployment.

        Args:
            backend: The ECS of the region.
            service: The service.
            tasks: All tasks of the service, stopped ones included. New tasks are appended.
        """
        wanted = [task for task in tasks if task.is_wanted]
        if service.status == "DRAINING":
            self._drain(service, tasks, wanted)
            return
        deployment_alarms.watch(service, self._speed)
        grace = service.health_check_grace_period_seconds
        healths = {task.id: self._health(task, grace) for task in wanted}
        primary = service.primary
        replicas = [
            Replica(task.id, self._is_current(task, service), healths[task.id], placed=not task.is_waiting)
            for task in wanted
        ]
        # ECS leaves a failed deployment without a roll-back alone: neither starts nor stops would help.
        if primary["rolloutState"] != "FAILED":
            decision = decide(service.desired_count, service.limits, replicas)
            stopped = [task for task in wanted if task.id in decision.stop]
            self._stop(backend, service, stopped, healths)
            # A failed health check may just have rolled the service back. Then the decision was about another
            # deployment.
            if service.primary is primary:
                self._launch(backend, service, tasks, decision.start)
        self._write_counts(service, tasks)
        self._notice_steady_state(service, replicas)

    def _health(self, task: Task, grace: float) -> Health:
        """Return how a task counts.

        A kernel ends a container at the moment in which it exceeds its memory limit. Ours are looked at twice a second
        only. So a task counts as healthy only after a look at its memory: a replica that is too large must fail its
        rollout, not a moment after it.
        """
        health = target_registration.health(task, grace)
        if health is Health.HEALTHY and not self._driver.is_within_memory(task.id):
            return Health.STARTING
        return health

    def _is_current(self, task: Task, service: Service) -> bool:
        """Return whether a task may stay: it is of the primary deployment, and its instance stays."""
        free = self._free[service.cluster_name]
        return task.started_by == service.primary["id"] and not free.is_draining(task.container_instance_arn)

    def _drain(self, service: Service, tasks: list[Task], wanted: list[Task]) -> None:
        for task in wanted:
            task.ask_to_stop(_scaling(task.started_by), STOPPED_BY_US)
            self._follow_stop(task)
        if all(task.last_status == "STOPPED" for task in tasks):
            service.status = "INACTIVE"
            service.deployments = []
        self._write_counts(service, tasks)

    def _stop(self, backend: EcsBackend, service: Service, tasks: list[Task], healths: dict[str, Health]) -> None:
        for task in tasks:
            failing = healths[task.id] is Health.FAILING
            reason = _scaling(service.primary["id"])
            if failing:
                reason = f"Task failed ELB health checks in (target-group {task.targets[0][0]})"
                service.add_event(
                    f"(service {service.name}) (port {task.port}) is unhealthy in "
                    f"(target-group {task.targets[0][0]}) due to ({target_registration.why(task)})"
                )
            task.ask_to_stop(reason, STOPPED_BY_US)
            self._follow_stop(task)
            service.add_event(f"(service {service.name}) has stopped 1 running tasks: (task {task.id}).")
            if failing:
                self._count_failure(backend, task)

    def _follow_stop(self, task: Task) -> None:
        target_registration.deregister(task)
        self._on_change()

    def _launch(self, backend: EcsBackend, service: Service, tasks: list[Task], count: int) -> None:
        """Place the tasks that wait, then new ones.

        A new task without a place is kept, in PROVISIONING, only where its capacity provider can start an instance for
        the task. Otherwise ECS makes no task, and tries again.
        """
        obstacles = [self._settle(backend, service, task) for task in tasks if task.is_waiting]
        for _ in range(0 if self._circuit_breaker.pauses(service.primary["id"]) else count):
            task = self._new_task(backend, service, tasks)
            obstacles.append(self._settle(backend, service, task))
            if obstacles[-1]:
                if not backend.waits_for_capacity(task.demand.provider):
                    break
                backend.add_task(task)
            tasks.append(task)
            # The container did not start. The others would fail alike, and the circuit breaker pauses now.
            if task.last_status == "STOPPED":
                break
        obstacle = next(filter(None, obstacles), None)
        if obstacle:
            service.add_event(f"(service {service.name}) {UNPLACED} {obstacle} {MORE}")

    def _new_task(self, backend: EcsBackend, service: Service, tasks: list[Task]) -> Task:
        definition = backend.describe_task_definition(service.primary["taskDefinition"])
        return Task(
            backend.clusters[service.cluster_name],
            definition,
            backend,
            demand=service.demand(definition, [task.demand.provider for task in tasks if task.is_wanted]),
            started_by=service.primary["id"],
            launch_type=service.launch_type,
            tags=list(service.tags) if service.propagate_tags == "SERVICE" else [],
        )

    def _settle(self, backend: EcsBackend, service: Service, task: Task) -> str | None:
        """Place a task of a service, and register its targets. Return why the task has no place; None if it has one."""
        obstacle = self._place(backend, task)
        if task.last_status == "RUNNING":
            service.add_event(f"(service {service.name}) has started 1 tasks: (task {task.id}).")
            target_registration.register(
                task, service, self._free[task.cluster_name].ec2_id(task.container_instance_arn)
            )
            self._on_change()
        return obstacle

    def _write_counts(self, service: Service, tasks: list[Task]) -> None:
        running = [task for task in tasks if task.last_status == "RUNNING"]
        pending = [task for task in tasks if task.last_status in {"PROVISIONING", "PENDING"}]
        service.running_count, service.pending_count = len(running), len(pending)
        for deployment in service.deployments:
            counts = {
                "runningCount": sum(task.started_by == deployment["id"] for task in running),
                "pendingCount": sum(task.started_by == deployment["id"] for task in pending),
            }
            if any(deployment[name] != value for name, value in counts.items()):
                deployment.update(counts, updatedAt=now())
        alive = {task.started_by for task in tasks if task.last_status != "STOPPED"}
        service.deployments = [d for d in service.deployments if d["status"] == "PRIMARY" or d["id"] in alive]

    def _notice_steady_state(self, service: Service, replicas: list[Replica]) -> None:
        healthy = {replica.id for replica in replicas if replica.health is Health.HEALTHY and replica.current}
        self._circuit_breaker.see_healthy(service, healthy)
        steady = len(replicas) == len(healthy) == service.desired_count
        if steady:
            self._circuit_breaker.reset(service.primary["id"])
        if steady and service.primary["rolloutState"] == "IN_PROGRESS":
            service.complete()
        if steady and not service.is_steady:
            service.add_event(f"(service {service.name}) has reached a steady state.")
        service.is_steady = steady

    def _forget_stopped(self, backend: EcsBackend) -> None:
        for tasks in backend.tasks.values():
            for arn, task in list(tasks.items()):
                stopped_at = getattr(task, "stopped_at", None)
                if stopped_at and (now() - stopped_at).total_seconds() > STOPPED_TASKS_KEPT:
                    del tasks[arn]


@contextmanager
def _contained(what: str) -> Iterator[None]:
    """Keep an error to one task or service, whose definition was deleted, say. The next round tries again."""
    try:
        yield
    except Exception:
        logger.exception("The %s could not be looked at.", what)


def is_of(task: Task, service: Service) -> bool:
    """Return whether a task belongs to a service."""
    return (task.cluster_name, task.group) == service.owner


def _scaling(deployment_id: str) -> str:
    return f"Scaling activity initiated by (deployment {deployment_id})"
