"""Starts a task: finds image, port, GPUs, credentials of the role and secrets, and runs the container."""

from __future__ import annotations

import random

from moto.ecs.models import TaskDefinition

from cortex_cdk.localcloud.containers import container_spec as placement
from cortex_cdk.localcloud.containers import gpus
from cortex_cdk.localcloud.containers.driver import TaskDriver
from cortex_cdk.localcloud.containers.launch import CannotStartError
from cortex_cdk.localcloud.ports import is_free
from cortex_cdk.localcloud.services.ecr import images
from cortex_cdk.localcloud.services.ecs.backend import EcsBackend
from cortex_cdk.localcloud.services.ecs.container_secrets import read_secrets
from cortex_cdk.localcloud.services.ecs.task import Task, now
from cortex_cdk.localcloud.services.iam import credentials_endpoint
from cortex_cdk.localcloud.services.iam.callers import lets_ecs
from cortex_cdk.localcloud.services.iam.sessions import SESSIONS

PORTS = range(20000, 32768)
"""Host ports of tasks. The system takes ports for outgoing connections from a higher range."""


class Starter:
    """Starts tasks.

    Args:
        driver: Runs the containers.
        control_port: The port of the AWS API.
    """

    def __init__(self, driver: TaskDriver, control_port: int) -> None:
        self._driver = driver
        self._control_port = control_port

    def obstacle(self, backend: EcsBackend, task: Task) -> str | None:
        """Return why this machine cannot run a task now, in ECS's words; None if it can. Instances do not matter here.

        Args:
            backend: The ECS of the region.
            task: The task, not placed yet.
        """
        if self.waits_for_image(task):
            return f"Reason: The image {task.containers[0]['image']} is being built again."
        wanted = task.demand.resources.gpus
        if not wanted or wanted <= self.free_gpus(backend):
            return None
        if not gpus.devices():
            return (
                "Reason: No Container Instances were found in your cluster with the resource GPU "
                "(nvidia-smi finds none)."
            )
        return "The closest matching (container-instance localhost) has insufficient GPU resource available."

    def waits_for_image(self, task: Task) -> bool:
        """Return whether a task cannot start before its image has been built again."""
        return images.is_awaited(str(task.containers[0]["image"]))

    def free_gpus(self, backend: EcsBackend) -> int:
        """Return how many GPUs of this machine are free."""
        return len(_free_gpus(backend)) if gpus.devices() else 0

    def start(self, backend: EcsBackend, task: Task) -> None:
        """Start a task's container, and record that the task runs.

        Raises:
            CannotStartError: The container cannot be started.
        """
        definition = backend.describe_task_definition(task.task_definition_arn)
        container = definition.container_definitions[0]
        task.last_status = "PENDING"
        task.pull_started_at = now()
        image = images.resolve(str(container["image"]))
        task.pull_stopped_at = now()
        container_port = placement.container_port(container)
        port = _free_port(backend) if container_port is not None else None
        devices = _free_gpus(backend)[: placement.gpus_wanted(container)]
        self._driver.start(
            placement.plan(
                task.id,
                definition.container_definitions,
                binaries=image.binaries,
                default_command=image.command,
                port=port,
                control_port=self._control_port,
                gpus=devices,
                credentials=self._credentials(definition, task),
                secrets=read_secrets(container, getattr(definition, "execution_role_arn", None), task.id),
                overrides=task.overrides,
            )
        )
        if devices:
            task.containers[0]["gpuIds"] = devices
        task.mark_running(port, container_port, image.digest)

    def _credentials(self, definition: TaskDefinition, task: Task) -> dict[str, str]:
        """Take the task's roles, as ECS does. Return how the task's SDKs find the credentials of its own role.

        Raises:
            CannotStartError: ECS may not take a role.
        """
        # moto's definitions have these attributes only where they were registered.
        task_role: str | None = getattr(definition, "task_role_arn", None)
        for role_arn in filter(None, (getattr(definition, "execution_role_arn", None), task_role)):
            if not lets_ecs(role_arn, task.task_arn):
                raise CannotStartError(
                    f"ECS was unable to assume the role '{role_arn}' that was provided for this task. Please verify "
                    "that the role being passed has the proper trust relationship and permissions and that your IAM "
                    "user has permissions to pass this role."
                )
        if not task_role:
            return {}
        return credentials_endpoint.variables(SESSIONS.begin(task_role, task.id))


def _free_port(backend: EcsBackend) -> int:
    taken = {task.port for task in backend.all_tasks() if task.last_status != "STOPPED"}
    for port in random.sample(PORTS, len(PORTS)):
        if port not in taken and is_free(port):
            return port
    raise CannotStartError("CannotStartContainerError: no free port is left on this machine")


def _free_gpus(backend: EcsBackend) -> list[str]:
    taken = {
        device
        for task in backend.all_tasks()
        if task.last_status != "STOPPED"
        for device in task.containers[0].get("gpuIds", [])
    }
    return [device for device in gpus.devices() if device not in taken]
