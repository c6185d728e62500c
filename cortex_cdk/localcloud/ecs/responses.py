"""The ECS actions whose parameters moto's own response class drops."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ecs.responses import EC2ContainerServiceResponse

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
    """moto's ECS actions with a complete CreateService."""

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
