"""An ECS service as the data plane keeps it: deployments, events and counts as AWS reports them."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition
from moto.ecs.models import Service as MotoService

from cortex_cdk.localcloud.services.ecs.instances.placement import Demand, Share, provider_for
from cortex_cdk.localcloud.services.ecs.instances.task_resources import of_task
from cortex_cdk.localcloud.services.ecs.rollout import Limits
from cortex_cdk.localcloud.services.ecs.task import now

EVENTS_KEPT = 100
FINISHED_KEPT = 20
DEFAULT_CONFIGURATION: dict[str, Any] = {"minimumHealthyPercent": 100, "maximumPercent": 200}
"""What ECS uses where CreateService gives no deployment configuration (API reference)."""

Deployment = dict[str, Any]


class Service(MotoService):
    """One service with its deployments.

    ``deployments`` holds dictionaries with AWS's fields, the primary one first. Attributes that AWS does not
    know: ``finished`` (how deployments that are gone ended) and ``last_completed`` (what a roll-back returns to).
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        backend: EC2ContainerServiceBackend,
        definition: TaskDefinition,
        *,
        desired_count: int,
        load_balancers: list[dict[str, Any]],
        deployment_configuration: dict[str, Any] | None,
        capacity_provider_strategy: list[dict[str, Any]] | None,
        health_check_grace_period_seconds: int | None,
        launch_type: str | None,
        placement_constraints: list[dict[str, str]] | None,
        placement_strategy: list[dict[str, str]] | None,
        **rest: Any,
    ) -> None:
        super().__init__(
            cluster,
            name,
            desired_count,
            backend,
            task_definition=definition,
            load_balancers=load_balancers,
            launch_type=launch_type,
            **rest,
        )
        self.created_at = now()
        self.deployment_configuration = {**DEFAULT_CONFIGURATION, **(deployment_configuration or {})}
        self.capacity_provider_strategy = capacity_provider_strategy or []
        self.health_check_grace_period_seconds = health_check_grace_period_seconds or 0
        self.placement_constraints = placement_constraints or []
        self.placement_strategy = placement_strategy or []
        self.enable_execute_command = False
        self.running_count = 0
        self.pending_count = 0
        self.deployments: list[Deployment] = []
        self.is_steady = False
        self.finished: dict[str, tuple[str, str]] = {}
        self.last_completed: str | None = None
        self.start_deployment(definition.arn)

    @property
    def primary(self) -> Deployment:
        """The deployment that the service is moving to."""
        return self.deployments[0]

    @property
    def limits(self) -> Limits:
        """How many replicas there may be, from the deployment configuration."""
        wanted = self.deployment_configuration
        return Limits.of(self.desired_count, wanted["minimumHealthyPercent"], wanted["maximumPercent"])

    @property
    def circuit_breaker(self) -> dict[str, Any]:
        """The circuit breaker's settings; empty if there is none."""
        return dict(self.deployment_configuration.get("deploymentCircuitBreaker") or {})

    def demand(self, definition: TaskDefinition, placed: Sequence[str | None]) -> Demand:
        """What the next task of the service asks of an instance.

        Args:
            definition: The task's definition.
            placed: The capacity providers of the tasks that the service has.
        """
        shares = [
            Share(item["capacityProvider"], int(item.get("base") or 0), int(item.get("weight") or 0))
            for item in self.capacity_provider_strategy
        ]
        return Demand(
            of_task(definition),
            group=f"service:{self.name}",
            apart=any(constraint["type"] == "distinctInstance" for constraint in self.placement_constraints),
            provider=provider_for(shares, placed),
            strategies=tuple((item["type"], item.get("field", "")) for item in self.placement_strategy),
        )

    def start_deployment(self, definition_arn: str) -> Deployment:
        """Make a new primary deployment; earlier ones go on as ``ACTIVE`` until their tasks are gone.

        Args:
            definition_arn: The task definition of its tasks.

        Returns:
            The new deployment.
        """
        identifier = f"ecs-svc/{secrets.randbelow(10**19):019d}"
        deployment = {
            "id": identifier,
            "status": "PRIMARY",
            "taskDefinition": definition_arn,
            "desiredCount": self.desired_count,
            "pendingCount": 0,
            "runningCount": 0,
            "failedTasks": 0,
            "createdAt": now(),
            "updatedAt": now(),
            "launchType": self.launch_type,
            "capacityProviderStrategy": self.capacity_provider_strategy,
            "networkConfiguration": self.network_configuration or None,
            "rolloutState": "IN_PROGRESS",
            "rolloutStateReason": f"ECS deployment {identifier} in progress.",
        }
        self._make_primary(deployment)
        return deployment

    def complete(self) -> None:
        """Record that the primary deployment has reached a steady state."""
        primary = self.primary
        self._finish(primary, "COMPLETED", f"ECS deployment {primary['id']} completed.")
        self.last_completed = primary["taskDefinition"]
        self.add_event(f"(service {self.name}) (deployment {primary['id']}) deployment completed.")

    def fail(self, reason: str, cause: str, *, rollback: bool) -> None:
        """Record that the primary deployment has failed.

        Args:
            reason: The ``rolloutStateReason``.
            cause: What the service event says.
            rollback: Whether to return to the last completed deployment, if there is one.
        """
        failed = self.primary
        self._finish(failed, "FAILED", reason)
        self.add_event(f"(service {self.name}) (deployment {failed['id']}) deployment failed: {cause}.")
        if rollback:
            self._roll_back(failed)

    def rollout_of(self, deployment_id: str) -> tuple[str, str]:
        """How a deployment of this service stands, whether or not it is still the primary one.

        Args:
            deployment_id: The ``id`` of the deployment, as create and update left it in ``deployments[0]``.

        Returns:
            The rollout state (``IN_PROGRESS``, ``COMPLETED`` or ``FAILED``) and the reason. A deployment that
            another one replaced before it was done has failed.
        """
        if deployment_id in self.finished:
            return self.finished[deployment_id]
        if self.primary["id"] == deployment_id:
            return self.primary["rolloutState"], self.primary["rolloutStateReason"]
        return "FAILED", f"ECS deployment {deployment_id} was replaced by {self.primary['id']}."

    def deployment_arn(self, deployment: Deployment) -> str:
        """Return the ARN of one of its deployments as a service deployment."""
        cluster_and_name = f"{self.cluster_name}/{self.name}"
        number = deployment["id"].rpartition("/")[2]
        return self.cluster_arn.rpartition(":cluster/")[0] + f":service-deployment/{cluster_and_name}/{number}"

    def _roll_back(self, failed: Deployment) -> None:
        """Return to the last completed deployment, which goes on if tasks of it are left."""
        target = self.last_completed
        if target is None or target == failed["taskDefinition"]:
            return
        earlier = next((deployment for deployment in self.deployments if deployment["taskDefinition"] == target), None)
        if earlier is None:
            earlier = self.start_deployment(target)
        else:
            self._make_primary(earlier)
        earlier["rolloutState"] = "IN_PROGRESS"
        earlier["watchesAlarms"] = False
        earlier["rolloutStateReason"] = f"ECS deployment rolling back to deploymentId {earlier['id']}."
        self.finished.pop(earlier["id"], None)
        self.add_event(f"(service {self.name}) rolling back to deployment {earlier['id']}.")

    def _make_primary(self, deployment: Deployment) -> None:
        for other in self.deployments:
            if other is not deployment:
                other.update(status="ACTIVE", desiredCount=0, updatedAt=now())
        deployment.update(status="PRIMARY", desiredCount=self.desired_count, updatedAt=now())
        self.deployments = [deployment, *(other for other in self.deployments if other is not deployment)]
        self.task_definition = deployment["taskDefinition"]

    def add_event(self, message: str) -> None:
        """Add a service event, newest first, unless it only repeats the newest one."""
        if self.events and self.events[0]["message"] == message:
            return
        self.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": now(), "message": message})
        del self.events[EVENTS_KEPT:]

    def _finish(self, deployment: Deployment, state: str, reason: str) -> None:
        deployment.update(rolloutState=state, rolloutStateReason=reason, updatedAt=now())
        self.finished[deployment["id"]] = (state, reason)
        while len(self.finished) > FINISHED_KEPT:
            self.finished.pop(next(iter(self.finished)))
