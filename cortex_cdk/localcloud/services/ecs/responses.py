"""Answers the ECS actions that moto lacks, or whose parameters moto drops."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ecs.responses import EC2ContainerServiceResponse

STATUSES = {"IN_PROGRESS": "IN_PROGRESS", "COMPLETED": "SUCCESSFUL", "FAILED": "ROLLBACK_SUCCESSFUL"}
"""The statuses of service deployments by the rollout states of deployments."""
PASSED_ON = (
    "deploymentConfiguration",
    "capacityProviderStrategy",
    "healthCheckGracePeriodSeconds",
    "deploymentController",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "schedulingStrategy",
    "serviceRegistries",
    "tags",
)


class EcsResponse(EC2ContainerServiceResponse):
    """moto's ECS actions with a complete CreateService, and with service deployments."""

    def list_service_deployments(self) -> ActionResult:
        """Answer ListServiceDeployments with the primary deployment, the only one that may be in progress."""
        backend: Any = self.ecs_backend
        service = backend.service(self._get_param("cluster", "default"), self._get_param("service"))
        primary = service.primary
        described = {
            "serviceDeploymentArn": service.deployment_arn(primary),
            "serviceArn": service.arn,
            "clusterArn": service.cluster_arn,
            "createdAt": primary["createdAt"],
            "startedAt": primary["createdAt"],
            "status": STATUSES[primary["rolloutState"]],
            "statusReason": primary["rolloutStateReason"],
        }
        wanted = self._get_param("status") or [described["status"]]
        return ActionResult({"serviceDeployments": [described] if described["status"] in wanted else []})

    def stop_service_deployment(self) -> ActionResult:
        """Answer StopServiceDeployment, whose only stop type is ROLLBACK."""
        arn = self._get_param("serviceDeploymentArn")
        backend: Any = self.ecs_backend
        backend.stop_deployment(arn)
        return ActionResult({"serviceDeploymentArn": arn})

    def create_service(self) -> ActionResult:
        """Answer CreateService."""
        given = {name: self._get_param(name) for name in PASSED_ON}
        service = self.ecs_backend.create_service(
            self._get_param("cluster", "default"),
            self._get_param("serviceName"),
            self._get_int_param("desiredCount"),
            self._get_param("taskDefinition"),
            propagate_tags=self._get_param("propagateTags") or "NONE",
            role_arn=self._get_param("role"),
            **{camelcase_to_underscores(name): value for name, value in given.items() if value is not None},
        )
        return ActionResult({"service": service})

    def describe_tasks(self) -> ActionResult:
        """Answer DescribeTasks. An unknown task is a failure in the answer, as for services."""
        answer: Any = super().describe_tasks()
        backend: Any = self.ecs_backend
        known = {task.id for task in answer.result["tasks"]}
        missing = [name for name in self._get_param("tasks", []) if name.rpartition("/")[2] not in known]
        cluster = self._get_param("cluster", "default")
        answer.result["failures"] = [{"arn": backend.task_arn(cluster, name), "reason": "MISSING"} for name in missing]
        return ActionResult(answer.result)

    def describe_capacity_providers(self) -> ActionResult:
        """Answer DescribeCapacityProviders, with all providers if the request names none."""
        wanted = self._get_param("capacityProviders") or list(self.ecs_backend.capacity_providers)
        providers, failures = self.ecs_backend.describe_capacity_providers(wanted)
        return ActionResult({"capacityProviders": providers, "failures": failures})
