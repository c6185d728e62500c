"""Replaces moto's ECS back end: services deploy, and tasks wait for a place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import moto.ecs.urls
from moto.ecs.exceptions import InvalidParameterException, ServiceNotFoundException
from moto.ecs.models import (
    CapacityProvider,
    ContainerInstance,
    ContainerInstanceFailure,
    EC2ContainerServiceBackend,
    TaskDefinition,
    ecs_backends,
)

from cortex_cdk.localcloud.services.autoscaling.groups import groups
from cortex_cdk.localcloud.services.ecs.instances.placement import Demand
from cortex_cdk.localcloud.services.ecs.instances.task_resources import of_task
from cortex_cdk.localcloud.services.ecs.responses import EcsResponse
from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.services.ecs.task import Task
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

CHANGEABLE = (
    "capacity_provider_strategy",
    "desired_count",
    "health_check_grace_period_seconds",
    "load_balancers",
    "network_configuration",
    "placement_constraints",
    "placement_strategy",
    "propagate_tags",
)
"""Properties that UpdateService changes without a deployment."""

INACTIVE_KEPT = 100
"""How many inactive revisions of a task definition are kept. AWS has room for all."""

UNPROTECTED_GROUP = (
    "The managed termination protection setting for the capacity provider is invalid. To enable managed termination "
    "protection for a capacity provider, the Auto Scaling group must have instance protection from scale in enabled."
)


class EcsBackend(EC2ContainerServiceBackend):
    """The ECS of one region."""

    @property
    def _url_module(self) -> Any:
        # moto derives the module from the class, which is ours here.
        return moto.ecs.urls

    def create_service(  # type: ignore[override] # noqa: PLR0917 - moto's signature
        self,
        cluster_str: str,
        service_name: str,
        desired_count: int | None,
        task_definition_str: str | None = None,
        load_balancers: list[dict[str, Any]] | None = None,
        scheduling_strategy: Any = None,
        tags: list[dict[str, str]] | None = None,
        deployment_controller: dict[str, str] | None = None,
        launch_type: str | None = None,
        deployment_configuration: dict[str, Any] | None = None,
        capacity_provider_strategy: list[dict[str, Any]] | None = None,
        health_check_grace_period_seconds: int | None = None,
        placement_constraints: list[dict[str, str]] | None = None,
        placement_strategy: list[dict[str, str]] | None = None,
        **rest: Any,
    ) -> Service:
        with STATE_LOCK:
            cluster = self._get_cluster(cluster_str)
            existing = self.services.get(f"{cluster.name}:{service_name}")
            if existing and existing.status != "INACTIVE":
                raise InvalidParameterException("Creation of service was not idempotent.")
            if not task_definition_str:
                raise InvalidParameterException("TaskDefinition can not be blank.")
            service = Service(  # type: ignore[abstract] # abstract in moto only for its own CloudFormation
                cluster,
                service_name,
                self,
                self.describe_task_definition(task_definition_str),
                desired_count=desired_count or 0,
                load_balancers=load_balancers or [],
                deployment_configuration=deployment_configuration,
                capacity_provider_strategy=capacity_provider_strategy,
                health_check_grace_period_seconds=health_check_grace_period_seconds,
                placement_constraints=placement_constraints,
                placement_strategy=placement_strategy,
                launch_type=None if capacity_provider_strategy else launch_type or "EC2",
                scheduling_strategy=scheduling_strategy,
                tags=tags,
                deployment_controller=deployment_controller,
                **rest,
            )
            self.services[f"{cluster.name}:{service_name}"] = service
            return service

    def create_capacity_provider(
        self, name: str, asg_details: dict[str, Any], tags: list[dict[str, str]] | None
    ) -> CapacityProvider:
        """Make a capacity provider of a group, whose next instances ECS knows as the provider's.

        Raises:
            InvalidParameterException: The instances of the group are not protected from scale-in, as they have to be
                for managed termination protection.
        """
        found = (one for one in groups(self.region_name) if one.name == _group_name(asg_details))
        group = next(found, None)
        is_protected = group is None or group.new_instances_protected_from_scale_in
        if asg_details.get("managedTerminationProtection") == "ENABLED" and not is_protected:
            raise InvalidParameterException(UNPROTECTED_GROUP)
        made = super().create_capacity_provider(name, asg_details, tags)
        if group:
            group.be_managed()
        return made

    def update_service(self, service_properties: dict[str, Any]) -> Service:
        """Change a service. Only another task definition, or ``force_new_deployment``, makes a new deployment.

        Args:
            service_properties: The parameters of UpdateService in snake case.
        """
        with STATE_LOCK:
            wanted = dict(service_properties)
            service = self.service(wanted.pop("cluster", "default"), wanted.pop("service"))
            if service.status != "ACTIVE":
                raise ServiceNotFoundException
            wanted_definition = wanted.pop("task_definition", None) or service.primary["taskDefinition"]
            definition = self.describe_task_definition(wanted_definition).arn
            if configuration := wanted.pop("deployment_configuration", None):
                service.deployment_configuration = {**service.deployment_configuration, **configuration}
            for name in CHANGEABLE:
                if wanted.get(name) is not None:
                    setattr(service, name, wanted[name])
            service.primary["desiredCount"] = service.desired_count
            if definition != service.primary["taskDefinition"] or wanted.get("force_new_deployment"):
                service.start_deployment(definition)
            return service

    def deregister_task_definition(self, task_definition_str: str) -> TaskDefinition:
        """Make a revision inactive, and forget the oldest of many inactive ones: each deployment leaves one behind."""
        with STATE_LOCK:
            gone = super().deregister_task_definition(task_definition_str)
            revisions = self.task_definitions[gone.family]
            inactive = sorted(number for number, known in revisions.items() if known.status == "INACTIVE")
            for number in inactive[:-INACTIVE_KEPT]:
                del revisions[number]
            return gone

    def list_services(
        self, cluster_str: str, scheduling_strategy: str | None = None, launch_type: str | None = None
    ) -> list[str]:
        """Return the ARNs of a cluster's services without the deleted ones."""
        with STATE_LOCK:
            cluster = self._get_cluster(cluster_str)
            return sorted(
                service.arn
                for service in self.all_services()
                if service.cluster_name == cluster.name
                and scheduling_strategy in {None, service.scheduling_strategy}
                and launch_type in {None, service.launch_type}
            )

    def delete_service(self, cluster_name: str, service_name: str, force: bool) -> Service:
        """Drain a service: stop its tasks, then make it ``INACTIVE``."""
        with STATE_LOCK:
            service = self.service(cluster_name, service_name)
            if service.desired_count > 0 and not force:
                raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
            if service.status == "ACTIVE":
                service.status = "DRAINING"
                service.desired_count = 0
                service.primary["desiredCount"] = 0
            return service

    def stop_deployment(self, arn: str) -> None:
        """Give a service's deployment up, and return to the deployment before.

        Args:
            arn: The service deployment, as in ``Service.deployment_arn``.

        Raises:
            InvalidParameterException: The deployment is not in progress.
        """
        with STATE_LOCK:
            for service in self.all_services():
                primary = service.primary if service.deployments else None
                if primary and service.deployment_arn(primary) == arn and primary["rolloutState"] == "IN_PROGRESS":
                    service.fail("Deployment stopped by user.", "deployment stopped by user", rollback=True)
                    return
            raise InvalidParameterException("The service deployment is not in progress.")

    def run_task(  # type: ignore[override] # noqa: PLR0917 - moto's signature
        self,
        cluster_str: str,
        task_definition_str: str,
        count: int,
        overrides: dict[str, Any] | None,
        started_by: str,
        tags: list[dict[str, str]] | None,
        launch_type: str | None,
        networking_configuration: dict[str, Any] | None = None,
        group: str | None = None,
        platform_version: str | None = None,
        capacity_provider_strategy: list[dict[str, Any]] | None = None,
    ) -> list[Task]:
        with STATE_LOCK:
            cluster = self._get_cluster(cluster_str)
            definition = self.describe_task_definition(task_definition_str)
            strategy = capacity_provider_strategy or cluster.default_capacity_provider_strategy or []
            demand = Demand(
                of_task(definition),
                group=group or f"family:{definition.family}",
                provider=None if launch_type or not strategy else strategy[0]["capacityProvider"],
            )
            tasks = [
                Task(
                    cluster,
                    definition,
                    self,
                    demand=demand,
                    started_by=started_by or "",
                    launch_type=launch_type,
                    tags=tags,
                    overrides=overrides,
                    network_configuration=networking_configuration,
                )
                for _ in range(count)
            ]
            for task in tasks:
                self.add_task(task)
            return tasks

    def stop_task(self, cluster_str: str, task_str: str, reason: str | None) -> Task:
        """Ask a task to stop. Its process ends within the container's stop timeout."""
        with STATE_LOCK:
            cluster = self._get_cluster(cluster_str)
            for task in self.tasks.get(cluster.name, {}).values():
                if task_str in {task.id, task.task_arn} and isinstance(task, Task):
                    task.ask_to_stop(reason or "Task stopped by user", "UserInitiated")
                    return task
            raise InvalidParameterException("The referenced task was not found.")

    def list_tasks(  # type: ignore[override] # noqa: PLR0917 - moto's signature
        self,
        cluster_str: str | None = None,
        container_instance: str | None = None,
        family: str | None = None,
        started_by: str | None = None,
        service_name: str | None = None,
        desiredStatus: str | None = None,
    ) -> list[Task]:
        with STATE_LOCK:
            # moto fails on tasks without an instance, and on a family that was deregistered: filtered here instead.
            tasks = super().list_tasks(cluster_str, None, None, started_by, None, desiredStatus or "RUNNING")
            group = f"service:{self.service(cluster_str or 'default', service_name).name}" if service_name else None
            instance = container_instance.rpartition("/")[2] if container_instance else None
            return [
                task
                for task in tasks
                if isinstance(task, Task)
                and group in {None, task.group}
                and family in {None, task.family}
                and instance in {None, (task.container_instance_arn or "").rpartition("/")[2]}
            ]

    def describe_container_instances(
        self, cluster_str: str, list_container_instance_ids: list[str]
    ) -> tuple[list[ContainerInstance], list[ContainerInstanceFailure]]:
        """Return the instances of a cluster with these ids or ARNs."""
        with STATE_LOCK:
            # moto has no entry for a cluster without instances.
            self.container_instances.setdefault(self._get_cluster(cluster_str).name, {})
            return super().describe_container_instances(cluster_str, list_container_instance_ids)

    def waits_for_capacity(self, provider: str | None) -> bool:
        """Return whether tasks wait for instances of a capacity provider. They do if the provider scales its group."""
        known = self.capacity_providers.get(provider or "")
        return known is not None and known.auto_scaling_group_provider["managedScaling"]["status"] == "ENABLED"

    def describe_tasks(self, cluster_str: str, tasks: list[str]) -> list[Task]:  # type: ignore[override]
        """Return the tasks of a cluster with these ids or ARNs. Unknown ones are left out."""
        with STATE_LOCK:
            cluster = self._get_cluster(cluster_str)
            if not tasks:
                raise InvalidParameterException("Tasks cannot be empty.")
            wanted = {name.rpartition("/")[2] for name in tasks}
            known = self.tasks.get(cluster.name, {}).values()
            return [task for task in known if isinstance(task, Task) and task.id in wanted]

    def task_arn(self, cluster: str, name: str) -> str:
        """Return the ARN of a task by its id or ARN. The task need not exist."""
        found = self._get_cluster(cluster).arn.replace(":cluster/", ":task/")
        return name if name.startswith("arn:") else f"{found}/{name}"

    def service(self, cluster: str, name: str) -> Service:
        """Return a service by its name or ARN.

        Raises:
            ServiceNotFoundException: There is no such service.
        """
        service = self.services.get(f"{self._get_cluster(cluster).name}:{name.rpartition('/')[2]}")
        if not isinstance(service, Service):
            raise ServiceNotFoundException
        return service

    def add_task(self, task: Task) -> None:
        """Record a task, so that the scheduler starts it and DescribeTasks finds it."""
        self.tasks.setdefault(task.cluster_name, {})[task.task_arn] = task

    def all_tasks(self) -> list[Task]:
        """Return all tasks of the region, the oldest first."""
        return [task for tasks in self.tasks.values() for task in tasks.values() if isinstance(task, Task)]

    def all_services(self) -> list[Service]:
        """Return all services of the region but the deleted ones."""
        services = [service for service in self.services.values() if isinstance(service, Service)]
        return [service for service in services if service.status != "INACTIVE"]

    def count_for_clusters(self) -> None:
        """Write the counts that DescribeClusters reports."""
        tasks, services = self.all_tasks(), self.all_services()
        for cluster in self.clusters.values():
            states = [task.last_status for task in tasks if task.cluster_name == cluster.name]
            cluster.running_tasks_count = states.count("RUNNING")
            cluster.pending_tasks_count = states.count("PROVISIONING") + states.count("PENDING")
            cluster.active_services_count = sum(service.cluster_name == cluster.name for service in services)


def install() -> None:
    """Make moto use this back end. Call this before the first use of ECS. More calls change nothing."""
    ecs_backends.backend = EcsBackend
    moto.ecs.urls.url_paths["{0}/$"] = EcsResponse.dispatch


def backends() -> Iterator[EcsBackend]:
    """Return the ECS back ends of all regions that are in use."""
    for backend in list(ecs_backends[ACCOUNT_ID].values()):
        if isinstance(backend, EcsBackend):
            yield backend


def _group_name(details: dict[str, Any]) -> str:
    """Return the name of a capacity provider's group. A template may give the name for the ARN, which ends with it."""
    return str(details.get("autoScalingGroupArn", "")).rpartition("/")[2]
