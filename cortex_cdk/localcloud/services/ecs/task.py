"""The ECS task: moto's model, with all fields that AWS reports."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition
from moto.ecs.models import Task as MotoTask

from cortex_cdk.localcloud.services.ecs.instances.placement import Demand
from cortex_cdk.localcloud.services.iam.sessions import SESSIONS

STOPPED_TASKS_KEPT = 3600.0
"""Seconds for which DescribeTasks still knows a stopped task (ECS API reference: at least an hour)."""


def now() -> datetime:
    """Return the time in UTC, with a zone, as moto's models have it."""
    return datetime.now(timezone.utc)


class Task(MotoTask):
    """One task: a replica of a service, or a task of RunTask.

    All attributes are plain data, so that a snapshot can contain them. moto's serializer leaves out the attributes that
    AWS does not have (``demand``, ``port``, ``targets``). ``running_since`` is ``started_at`` on the monotonic
    clock, which nobody sets; no task outlives the daemon.
    """

    _last_status = "PROVISIONING"
    version = 1
    health_status = "UNKNOWN"
    connectivity = "CONNECTED"
    started_at: datetime | None = None
    running_since: float | None = None
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    stop_code: str | None = None
    port: int | None = None
    availability_zone: str | None = None

    def __init__(
        self,
        cluster: Cluster,
        definition: TaskDefinition,
        backend: EC2ContainerServiceBackend,
        *,
        demand: Demand,
        started_by: str = "",
        launch_type: str | None = None,
        tags: list[dict[str, str]] | None = None,
        overrides: dict[str, Any] | None = None,
        network_configuration: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            cluster,
            definition,
            container_instance_arn=None,
            resource_requirements=None,
            backend=backend,
            group=demand.group,
            launch_type=launch_type or "EC2",
            overrides=overrides,
            started_by=started_by,
            tags=tags,
            networking_configuration=network_configuration,
            capacity_provider_name=demand.provider,
        )
        self.demand = demand
        self.stopped_reason: str | None = None  # type: ignore[assignment]
        self.cpu = definition.cpu
        self.memory = definition.memory
        self.created_at: datetime = now()
        self.targets: list[tuple[str, str, int]] = []
        self.containers: list[dict[str, Any]] = [  # type: ignore[assignment]
            self._container(definition.container_definitions[0])
        ]

    def _container(self, definition: dict[str, Any]) -> dict[str, Any]:
        return {
            "containerArn": self.task_arn.replace(":task/", ":container/") + "/" + definition["name"],
            "taskArn": self.task_arn,
            "name": definition["name"],
            "image": definition["image"],
            "lastStatus": "PENDING",
            "networkBindings": [],
            "networkInterfaces": [],
            "healthStatus": "UNKNOWN",
            "cpu": str(definition.get("cpu") or 0),
            **({"memory": str(definition["memory"])} if definition.get("memory") else {}),
        }

    def advance(self) -> None:
        """Do nothing. moto would change a task's state at each description; here the process changes the state."""

    @property
    def last_status(self) -> str:
        """The state of the task."""
        return self._last_status

    @last_status.setter
    def last_status(self, value: str) -> None:
        self._last_status = value
        self.version += 1

    @property
    def is_wanted(self) -> bool:
        """Whether the task is not being stopped."""
        return self.desired_status == "RUNNING"

    @property
    def family(self) -> str:
        """The family of its task definition."""
        return str(self.task_definition_arn.rpartition("/")[2].partition(":")[0])

    def metadata(self) -> dict[str, Any]:
        """Return the answer of the task metadata endpoint, version 4, for the task ("/task")."""
        revision = self.task_definition_arn.rpartition(":")[2]
        container = self.containers[0]
        return {
            "Cluster": self.cluster_arn,
            "TaskARN": self.task_arn,
            "Family": self.family,
            "Revision": revision,
            "DesiredStatus": self.desired_status,
            "KnownStatus": self.last_status,
            "LaunchType": "EC2",
            "Containers": [
                {
                    "DockerId": self.id.replace("-", ""),
                    "Name": container["name"],
                    "DockerName": container["name"],
                    "Image": container["image"],
                    "ContainerARN": container["containerArn"],
                    "KnownStatus": container["lastStatus"],
                    "Type": "NORMAL",
                }
            ],
        }

    @property
    def is_waiting(self) -> bool:
        """Whether the task waits for an instance with room."""
        return self.is_wanted and self.last_status == "PROVISIONING"

    def put_on(self, container_instance: str, zone: str) -> None:
        """Record the instance of the task.

        Args:
            container_instance: The ARN of the container instance.
            zone: The availability zone of the instance.
        """
        self.container_instance_arn = container_instance
        self.availability_zone = zone

    def mark_running(self, port: int | None, container_port: int | None, image_digest: str | None) -> None:
        """Record that the process runs.

        Args:
            port: The host port of the task, if it has one.
            container_port: The port that the container definition maps, if any.
            image_digest: The digest of the task's image.
        """
        self.port = port
        self.started_at = now()
        self.running_since = time.monotonic()
        self.last_status = "RUNNING"
        container = self.containers[0]
        container["lastStatus"] = "RUNNING"
        container["runtimeId"] = self.id.replace("-", "")
        if image_digest:
            container["imageDigest"] = image_digest
        if port is not None and container_port is not None:
            binding = {"bindIP": "127.0.0.1", "containerPort": container_port, "hostPort": port, "protocol": "tcp"}
            container["networkBindings"] = [binding]

    def ask_to_stop(self, reason: str, stop_code: str) -> None:
        """Record that the task has to stop, and why. The first reason stays.

        Args:
            reason: The ``stoppedReason``.
            stop_code: One of the stop codes of the API reference (``ServiceSchedulerInitiated``, ...).
        """
        if not self.is_wanted:
            return
        self.desired_status = "STOPPED"
        self.stopping_at = now()
        self.stop_code = stop_code
        self.stopped_reason = reason
        self.last_status = "DEACTIVATING"

    def mark_stopped(self, *, exit_code: int | None, container_reason: str | None, reason: str, stop_code: str) -> None:
        """Record that the process has ended. The task's credentials end with it.

        Args:
            exit_code: The container's exit code; None if the container never started.
            container_reason: Why the container ended, in the words of the agent or of the program.
            reason: The ``stoppedReason``, unless somebody has asked for the stop before.
            stop_code: The ``stopCode``, unless somebody has asked for the stop before.
        """
        self.ask_to_stop(reason, stop_code)
        self.stopped_at = now()
        self.execution_stopped_at = self.stopped_at
        self.last_status = "STOPPED"
        SESSIONS.end(self.id)
        container = self.containers[0]
        container["lastStatus"] = "STOPPED"
        if exit_code is not None:
            container["exitCode"] = exit_code
        if container_reason:
            container["reason"] = container_reason
