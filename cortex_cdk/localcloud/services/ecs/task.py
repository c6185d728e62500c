"""An ECS task as the data plane keeps it: moto's model with the fields that AWS reports, told truthfully."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition
from moto.ecs.models import Task as MotoTask

from cortex_cdk.localcloud.services.ecs.instances.placement import Demand

STOPPED_TASKS_KEPT = 3600.0
"""Seconds for which DescribeTasks still answers about a stopped task (ECS API reference: at least an hour)."""


def now() -> datetime:
    """Return the time, as moto's models keep it: UTC with a zone."""
    return datetime.now(timezone.utc)


class Task(MotoTask):
    """One task: a replica of a service, or what RunTask started.

    All attributes are plain data, so that a snapshot of the back end contains them. Those that AWS does not
    know (``demand``, ``port``, ``targets``) are left out of its answers by moto's serializer.
    """

    _last_status = "PROVISIONING"
    version = 1
    health_status = "UNKNOWN"
    connectivity = "CONNECTED"
    started_at: datetime | None = None
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
        """Do nothing: moto moves a task on whenever it is described, ours when its process does."""

    @property
    def last_status(self) -> str:
        """The state that the task is in."""
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
        """What the task metadata endpoint, version 4, answers about the task ("/task")."""
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
        """Whether it waits for an instance with room for it."""
        return self.is_wanted and self.last_status == "PROVISIONING"

    def put_on(self, container_instance: str, zone: str) -> None:
        """Record where it is placed.

        Args:
            container_instance: The ARN of the container instance.
            zone: Its availability zone.
        """
        self.container_instance_arn = container_instance
        self.availability_zone = zone

    def mark_running(self, port: int | None, container_port: int | None, image_digest: str | None) -> None:
        """Record that the process runs.

        Args:
            port: The host port that was chosen for it.
            container_port: The port that the container definition maps, if any.
            image_digest: The digest that the image reference was resolved to.
        """
        self.port = port
        self.started_at = now()
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
        """Record that the task shall stop, and why. The first reason stays.

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
        """Record that the process has ended.

        Args:
            exit_code: The container's exit code; None if it never started.
            container_reason: Why the container ended, as the agent or the program itself says it.
            reason: The ``stoppedReason``, unless somebody had asked for the stop.
            stop_code: The ``stopCode``, unless somebody had asked for the stop.
        """
        self.ask_to_stop(reason, stop_code)
        self.stopped_at = now()
        self.execution_stopped_at = self.stopped_at
        self.last_status = "STOPPED"
        container = self.containers[0]
        container["lastStatus"] = "STOPPED"
        if exit_code is not None:
            container["exitCode"] = exit_code
        if container_reason:
            container["reason"] = container_reason
