"""Answers the ECS actions that moto lacks, or whose parameters moto drops."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ecs.responses import EC2ContainerServiceResponse

from cortex_cdk.localcloud.services.ecs.service_deployments import brief, full, service_deployments

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
        """Answer ListServiceDeployments, the newest first."""
        backend: Any = self.ecs_backend
        service = backend.service(self._get_param("cluster", "default"), self._get_param("service"))
        found = [brief(service, deployment) for deployment in service_deployments(service)]
        wanted = self._get_param("status")
        return ActionResult({"serviceDeployments": [one for one in found if not wanted or one["status"] in wanted]})

    def describe_service_deployments(self) -> ActionResult:
        """Answer DescribeServiceDeployments. An unknown deployment is a failure in the answer."""
        backend: Any = self.ecs_backend
        known = {
            service.deployment_arn(deployment): (service, deployment)
            for service in backend.all_services()
            for deployment in service_deployments(service)
        }
        wanted = self._get_param("serviceDeploymentArns", [])
        return ActionResult(
            {
                "serviceDeployments": [full(*known[arn]) for arn in wanted if arn in known],
                "failures": [{"arn": arn, "reason": "MISSING"} for arn in wanted if arn not in known],
            }
        )

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
