"""The resource types of ECS: clusters, capacity providers, task definitions and services."""

from __future__ import annotations

import re
from typing import Any

from moto.ecs.models import ecs_backends

from cortex_cdk.localcloud.cloudformation.casing import camel
from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_lower

TASK_DEFINITION = (
    "ContainerDefinitions",
    "Cpu",
    "EphemeralStorage",
    "ExecutionRoleArn",
    "InferenceAccelerators",
    "IpcMode",
    "Memory",
    "NetworkMode",
    "PidMode",
    "PlacementConstraints",
    "ProxyConfiguration",
    "RequiresCompatibilities",
    "RuntimePlatform",
    "TaskRoleArn",
    "Volumes",
)
ON_CREATION = ("DeploymentController", "LaunchType", "SchedulingStrategy", "ServiceRegistries")
CHANGEABLE = (
    "CapacityProviderStrategy",
    "DeploymentConfiguration",
    "HealthCheckGracePeriodSeconds",
    "LoadBalancers",
    "NetworkConfiguration",
    "PlatformVersion",
    "PropagateTags",
)
DESCRIPTIVE = {
    "AvailabilityZoneRebalancing": "availability_zone_rebalancing",
    "EnableECSManagedTags": "enable_ecs_managed_tags",
    "EnableExecuteCommand": "enable_execute_command",
    "PlacementConstraints": "placement_constraints",
    "PlacementStrategies": "placement_strategy",
}
WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def backend(place: Place) -> Any:
    """Return moto's ECS of a region."""
    return ecs_backends[place.account][place.region]


class Cluster(Resource):
    """An ECS cluster."""

    type = "AWS::ECS::Cluster"
    name_property = "ClusterName"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateCluster."""
        cluster = backend(place).create_cluster(
            name,
            tags=as_lower(properties.get("Tags")),
            cluster_settings=camel(properties.get("ClusterSettings")),
            configuration=camel(properties.get("Configuration")),
            service_connect_defaults=camel(properties.get("ServiceConnectDefaults")),
        )
        return cls(name, {"Arn": cluster.arn})

    def update(self, properties: Properties, place: Place) -> None:
        """UpdateCluster and tags."""
        cluster = backend(place).update_cluster(
            self.physical_resource_id,
            camel(properties.get("ClusterSettings")),
            camel(properties.get("Configuration")),
            camel(properties.get("ServiceConnectDefaults")),
        )
        cluster.tags = as_lower(properties.get("Tags"))

    def delete(self, place: Place) -> None:
        """DeleteCluster."""
        ecs = backend(place)
        if any(service.status == "ACTIVE" for service in ecs.services.values() if self._has(service)):
            raise ValueError("The Cluster cannot be deleted while Services are active.")
        ecs.delete_cluster(self.physical_resource_id)

    def _has(self, service: Any) -> bool:
        return bool(service.cluster_name == self.physical_resource_id)


class CapacityProvider(Resource):
    """A capacity provider backed by an Auto Scaling group."""

    type = "AWS::ECS::CapacityProvider"
    name_property = "Name"

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether there is a capacity provider of this name."""
        return name in backend(place).capacity_providers

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateCapacityProvider."""
        details = camel(properties["AutoScalingGroupProvider"])
        backend(place).create_capacity_provider(name, details, as_lower(properties.get("Tags")))
        return cls(name)

    def update(self, properties: Properties, place: Place) -> None:
        """UpdateCapacityProvider."""
        details = camel(properties["AutoScalingGroupProvider"])
        provider = backend(place).update_capacity_provider(self.physical_resource_id, details)
        provider.tags = as_lower(properties.get("Tags"))

    def delete(self, place: Place) -> None:
        """DeleteCapacityProvider."""
        ecs = backend(place)
        active = [cluster for cluster in ecs.clusters.values() if cluster.status == "ACTIVE"]
        users = [cluster.name for cluster in active if self.physical_resource_id in (cluster.capacity_providers or [])]
        if users:
            raise ValueError(f"The capacity provider is in use by the cluster {users[0]}.")
        ecs.delete_capacity_provider(self.physical_resource_id)


class ClusterCapacityProviderAssociations(Resource):
    """The capacity providers of a cluster, and the default strategy of its services."""

    type = "AWS::ECS::ClusterCapacityProviderAssociations"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """PutClusterCapacityProviders."""
        made = cls(properties["Cluster"])
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """PutClusterCapacityProviders."""
        strategy = camel(properties.get("DefaultCapacityProviderStrategy", []))
        providers = list(properties.get("CapacityProviders", []))
        backend(place).put_cluster_capacity_providers(self.physical_resource_id, providers, strategy)

    def delete(self, place: Place) -> None:
        """PutClusterCapacityProviders with none."""
        backend(place).put_cluster_capacity_providers(self.physical_resource_id, [], [])


class TaskDefinition(Resource):
    """A revision of a task definition. A revision cannot change, so each change makes a new one."""

    type = "AWS::ECS::TaskDefinition"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """RegisterTaskDefinition."""
        # All revisions share the family, so the family is no name of one resource. A missing family is made up.
        arguments = _arguments(properties, only=TASK_DEFINITION)
        # moto asks for a hard memory limit on EC2. For ECS a reservation will do (RegisterTaskDefinition, memory).
        if arguments.get("requires_compatibilities") == ["EC2"]:
            arguments["requires_compatibilities"] = None
        made = backend(place).register_task_definition(
            properties.get("Family", name), tags=as_lower(properties.get("Tags")), **arguments
        )
        made.requires_compatibilities = list(properties.get("RequiresCompatibilities", []))
        return cls(made.arn, {"TaskDefinitionArn": made.arn})

    def update(self, properties: Properties, place: Place) -> None:
        """Only tags change in place."""
        backend(place).describe_task_definition(self.physical_resource_id).tags = as_lower(properties.get("Tags"))

    def delete(self, place: Place) -> None:
        """DeregisterTaskDefinition."""
        backend(place).deregister_task_definition(self.physical_resource_id)


class Service(Resource):
    """A service. It is stable when the rollout of its last deployment has completed."""

    type = "AWS::ECS::Service"
    name_property = "ServiceName"

    def __init__(self, arn: str, name: str, cluster: str) -> None:
        super().__init__(arn, {"Name": name, "ServiceArn": arn})
        self.name, self.cluster = name, cluster
        self.deployment = ""

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateService."""
        cluster = properties.get("Cluster", "default")
        service = backend(place).create_service(
            cluster,
            name,
            int(properties.get("DesiredCount", 1)),
            properties["TaskDefinition"],
            tags=as_lower(properties.get("Tags")),
            **_arguments(properties, only=(*ON_CREATION, *CHANGEABLE)),
            placement_constraints=camel(properties.get("PlacementConstraints")),
            placement_strategy=camel(properties.get("PlacementStrategies")),
        )
        _describe(service, properties)
        made = cls(service.arn, name, cluster)
        made.deployment = service.deployments[0]["id"]
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """UpdateService. Without DesiredCount in the template, the number of replicas stays."""
        arguments = _arguments(properties, only=CHANGEABLE)
        if "DesiredCount" in properties:
            arguments["desired_count"] = int(properties["DesiredCount"])
        if properties.get("ForceNewDeployment", {}).get("EnableForceNewDeployment"):
            arguments["force_new_deployment"] = True
        target = {"cluster": self.cluster, "service": self.name, "task_definition": properties["TaskDefinition"]}
        service = backend(place).update_service({**target, **arguments})
        service.tags = as_lower(properties.get("Tags"))
        _describe(service, properties)
        self.deployment = service.deployments[0]["id"]

    def delete(self, place: Place) -> None:
        """DeleteService by force: its tasks drain."""
        backend(place).delete_service(self.cluster, self.name, True)

    def actual(self, expected: Properties, place: Place) -> Properties | None:
        """The task definition, and the number of replicas where the template gives one."""
        service = backend(place).services.get(f"{self.cluster.rpartition('/')[2]}:{self.name}")
        if service is None or service.status == "INACTIVE":
            return None
        found: dict[str, Any] = {"TaskDefinition": service.primary["taskDefinition"]}
        if "DesiredCount" in expected:
            found["DesiredCount"] = type(expected["DesiredCount"])(service.desired_count)
        return found

    def stabilized(self, place: Place) -> bool | str:
        """Return whether the deployment of the last change has completed, or a text that says why it failed."""
        state, reason = backend(place).service(self.cluster, self.name).rollout_of(self.deployment)
        return reason or "The deployment failed." if state == "FAILED" else bool(state == "COMPLETED")

    def proven(self, place: Place) -> bool | str:
        """Return whether the bake time of the last change is over, or a text that says which alarm went off."""
        verdict: bool | str = backend(place).service(self.cluster, self.name).proven(self.deployment)
        return verdict

    def gone(self, place: Place) -> bool:
        """Return whether the service's tasks have stopped."""
        return bool(backend(place).service(self.cluster, self.name).status == "INACTIVE")


def _arguments(properties: Properties, *, only: tuple[str, ...]) -> dict[str, Any]:
    """Return properties as arguments of moto's back end: names in snake case, values in the form of the API."""
    return {_snake(name): camel(properties[name]) for name in only if name in properties}


def _snake(name: str) -> str:
    return WORD.sub("_", name).lower()


def _describe(service: Any, properties: Properties) -> None:
    """Keep properties for DescribeServices that nothing here acts on."""
    for name, attribute in DESCRIPTIVE.items():
        if name in properties:
            setattr(service, attribute, camel(properties[name]))
