"""The ECS service: its deployments, events and counts, as AWS reports them."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition
from moto.ecs.models import Service as MotoService

from cortex_cdk.localcloud.services.ecs.instances.placement import Demand, Share, provider_for
from cortex_cdk.localcloud.services.ecs.instances.task_resources import of_task
from cortex_cdk.localcloud.services.ecs.rollout import Limits
from cortex_cdk.localcloud.services.ecs.task import now

if TYPE_CHECKING:
    from cortex_cdk.localcloud.services.ecs.replica_faults import ReplicaFault

EVENTS_KEPT = 100
FINISHED_KEPT = 20
DEFAULT_CONFIGURATION: dict[str, Any] = {"minimumHealthyPercent": 100, "maximumPercent": 200}
"""The deployment configuration of a service that was created without one (API reference)."""

Deployment = dict[str, Any]


class Service(MotoService):
    """One service with its deployments.

    ``deployments`` holds dictionaries with AWS's fields, the primary deployment first. AWS does not have the attributes
    ``finished`` (how past deployments ended) and ``last_completed`` (the task definition that a roll-back returns to).
    Nor have deployments ``returnsTo`` there: the task definition that a failure in their bake time brings back.
    ``faults`` are those that ``cortex local chaos`` has made, by kind.
    """

    # A service of an earlier version's snapshot has none of its own.
    faults: Mapping[str, ReplicaFault] = MappingProxyType({})

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
    def rollouts(self) -> dict[str, Deployment]:
        """The last deployments by id, also those whose tasks are gone. A roll-back is no deployment of its own."""
        # A service of an earlier version's snapshot has none of the past.
        kept: dict[str, Deployment] = self.__dict__.setdefault("_rollouts", {})
        if not kept:
            kept.update({one["id"]: one for one in self.deployments})
        return kept

    @property
    def owner(self) -> tuple[str, str | None]:
        """Cluster and group of the service's tasks."""
        return self.cluster_name, f"service:{self.name}"

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
        """Return the demand of the service's next task on an instance.

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

    def start_deployment(self, definition_arn: str, *, rolls_back: bool = False) -> Deployment:
        """Make a new primary deployment. Earlier ones go on as ``ACTIVE`` until their tasks are gone.

        Args:
            definition_arn: The task definition of the deployment's tasks.
            rolls_back: Whether the deployment is the return from one that has failed.

        Returns:
            The new deployment.
        """
        identifier = f"ecs-svc/{secrets.randbelow(10**19):019d}"
        # The revision before may be what an alarm is about to go off for: that says nothing about this one.
        cuts_short = bool(self.deployments) and self.primary.pop("returnsTo", None) is not None
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
            "bakes": not (rolls_back or cuts_short),
        }
        self._make_primary(deployment)
        if not rolls_back:
            rollouts = self.rollouts
            rollouts[identifier] = deployment
            while len(rollouts) > FINISHED_KEPT:
                rollouts.pop(next(iter(rollouts)))
        return deployment

    def complete(self) -> None:
        """Record that the primary deployment has reached a steady state. Its bake time begins, if it has one."""
        primary = self.primary
        before = self.last_completed
        if primary.get("bakes") and primary.get("watchesAlarms") and before not in {None, primary["taskDefinition"]}:
            primary.update(returnsTo=before, completedAt=now())
        self._finish(primary, "COMPLETED", f"ECS deployment {primary['id']} completed.")
        self.last_completed = primary["taskDefinition"]
        self.add_event(f"(service {self.name}) (deployment {primary['id']}) deployment completed.")

    def fail(self, reason: str, cause: str, *, rollback: bool) -> None:
        """Record that the primary deployment has failed.

        Args:
            reason: The ``rolloutStateReason``.
            cause: The cause, for the service event.
            rollback: Whether to return to the last completed deployment, if there is one.
        """
        failed = self.primary
        if "returnsTo" in failed:
            self.last_completed = failed.pop("returnsTo")
            failed["regressed"] = True
        self._finish(failed, "FAILED", reason)
        self.add_event(f"(service {self.name}) (deployment {failed['id']}) deployment failed: {cause}.")
        if rollback:
            self._roll_back(failed)

    def rollout_of(self, deployment_id: str) -> tuple[str, str]:
        """Return the state of a deployment, though another deployment may be the primary one by now.

        Args:
            deployment_id: The ``id`` of ``deployments[0]`` right after create or update.

        Returns:
            The rollout state (``IN_PROGRESS``, ``COMPLETED`` or ``FAILED``) and the reason. A deployment
            that another one replaced before its end has failed.
        """
        if deployment_id in self.finished:
            return self.finished[deployment_id]
        if self.primary["id"] == deployment_id:
            return self.primary["rolloutState"], self.primary["rolloutStateReason"]
        return "FAILED", f"ECS deployment {deployment_id} was replaced by {self.primary['id']}."

    def proven(self, deployment_id: str) -> bool | str:
        """Return whether the bake time of a deployment that has completed is over, or a text that says why it failed.

        Args:
            deployment_id: As for ``rollout_of``.
        """
        deployment = self.rollouts.get(deployment_id, {})
        return str(deployment["rolloutStateReason"]) if "regressed" in deployment else "returnsTo" not in deployment

    @property
    def cluster_and_name(self) -> str:
        """The service in a text, such as ``cortex-local/iris``."""
        return f"{self.cluster_name}/{self.name}"

    def deployment_arn(self, deployment: Deployment) -> str:
        """Return the ARN of a deployment as a service deployment."""
        number = deployment["id"].rpartition("/")[2]
        return self.cluster_arn.rpartition(":cluster/")[0] + f":service-deployment/{self.cluster_and_name}/{number}"

    def _roll_back(self, failed: Deployment) -> None:
        """Return to the last completed deployment, which goes on if it still has tasks."""
        target = self.last_completed
        if target is None or target == failed["taskDefinition"]:
            return
        earlier = next((deployment for deployment in self.deployments if deployment["taskDefinition"] == target), None)
        if earlier is None:
            earlier = self.start_deployment(target, rolls_back=True)
        else:
            self._make_primary(earlier)
        earlier["rolloutState"] = "IN_PROGRESS"
        earlier["watchesAlarms"] = False
        earlier["rollsBackFrom"] = failed["id"]
        failed["rolledBack"] = True
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
        """Add a service event, unless it repeats the newest one. The newest event comes first."""
        if self.events and self.events[0]["message"] == message:
            return
        self.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": now(), "message": message})
        del self.events[EVENTS_KEPT:]

    def _finish(self, deployment: Deployment, state: str, reason: str) -> None:
        deployment.update(rolloutState=state, rolloutStateReason=reason, updatedAt=now())
        self.finished[deployment["id"]] = (state, reason)
        while len(self.finished) > FINISHED_KEPT:
            self.finished.pop(next(iter(self.finished)))
