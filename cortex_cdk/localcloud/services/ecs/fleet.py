"""Starts and ends the instances of all groups, registers them in ECS, and scales groups to the size that tasks need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.services.autoscaling import replacement
from cortex_cdk.localcloud.services.autoscaling.groups import PENDING, AutoScalingGroup, groups
from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.ecs.backend import EcsBackend
from cortex_cdk.localcloud.services.ecs.free_capacity import FreeCapacity, held, left
from cortex_cdk.localcloud.services.ecs.instances.container_instance import DRAINING, ContainerInstance
from cortex_cdk.localcloud.services.ecs.instances.managed_scaling import (
    Bounds,
    Member,
    departure,
    desired,
    has_spare,
    needed,
    reservation,
)
from cortex_cdk.localcloud.services.ecs.instances.placement import Instance
from cortex_cdk.localcloud.services.ecs.instances.task_resources import of_type
from cortex_cdk.localcloud.services.ecs.task import Task

NAMESPACE = "AWS/ECS/ManagedScaling"
MINUTE = 60.0
SPOT_NOTICE = 120.0
"""Seconds from the notice to the interruption ("Spot Instance interruption notices", EC2 user guide)."""
STARTUP = 90.0
"""Seconds from an instance's launch to its registration, in which EC2 boots and the ECS agent starts."""


class Fleet:
    """The instances of all regions.

    Args:
        speed: How many times faster than real instances they start, and are given back.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._measured: dict[str, float] = {}

    def look(self, backend: EcsBackend) -> dict[str, FreeCapacity]:
        """Let instances start and go, and write down the facts that ECS reports of them.

        Returns:
            The free capacity of each cluster, by its name.
        """
        load = _load(backend)
        for group in groups(backend.region_name):
            self._start(group)
            self._take_back(group)
            replacement.carry_on(group, self._speed)
            _resize(group, {_ec2_id(backend, arn) for arn in load})
        free = {}
        for name in backend.clusters:
            known = _register(backend, name)
            for instance in known:
                tasks = load.get(instance.container_instance_arn, ())
                running = sum(task.last_status != "PENDING" for task in tasks)
                instance.show(left(instance, tasks), running, len(tasks) - running)
            free[name] = FreeCapacity(known, load)
        return free

    def scale(self, backend: EcsBackend, waiting: Sequence[Task]) -> None:
        """Bring the groups with managed scaling to the size that their tasks need.

        Args:
            backend: The ECS of the region.
            waiting: The tasks that wait for room on an instance.
        """
        load = _load(backend)
        is_new_minute = self._begins_minute(backend.region_name)
        for cluster, provider, group in _providers(backend):
            details = backend.capacity_providers[provider].auto_scaling_group_provider
            managed = details["managedScaling"]
            if managed["status"] != "ENABLED":
                continue
            demands = [
                task.demand for task in waiting if (task.cluster_name, task.demand.provider) == (cluster, provider)
            ]
            soon = _soon(backend.container_instances[cluster].values(), provider, group, load)
            need = needed(soon, of_type(group.instance_type), demands)
            if is_new_minute:
                running = sum(member.lifecycle_state != PENDING for member in group.members)
                _measure(backend.region_name, cluster, provider, reservation(running, need))
            busy = {_ec2_id(backend, arn) for arn in load}
            is_protected = details.get("managedTerminationProtection") == "ENABLED"
            self._resize(group, need, _bounds(group, managed), busy if is_protected else None)

    def _begins_minute(self, region: str) -> bool:
        """Return whether this is the first look at a region in this minute of the local clock."""
        minute = steady_clock.now() * self._speed // MINUTE
        before = self._measured.get(region)
        self._measured[region] = minute
        return minute != before

    def _start(self, group: AutoScalingGroup) -> None:
        now = steady_clock.now()
        for member in group.members:
            # Somebody may have set the clock back: the instance must not wait until it has caught up.
            member.launched_at = min(member.launched_at, now)
            if member.lifecycle_state == PENDING and (now - member.launched_at) * self._speed >= STARTUP:
                member.enter_service()

    def _take_back(self, group: AutoScalingGroup) -> None:
        """End the instances whose spot interruption notice has passed."""
        usual, now = SPOT_NOTICE / self._speed, steady_clock.now()
        group.lose(
            [one for one in group.members if one.noticed_at and now - one.noticed_at >= (one.notice_seconds or usual)]
        )

    def _resize(self, group: AutoScalingGroup, need: int, bounds: Bounds, protected: Set[str | None] | None) -> None:
        """Set the size that a group needs.

        Args:
            group: The group.
            need: How many instances its tasks need.
            bounds: The bounds of its size.
            protected: The instances with tasks, which are protected from scale-in; None without managed protection.
        """
        present = group.desired_capacity or 0
        now = steady_clock.now()
        if not has_spare(present, need, bounds):
            group.spare_since = None
        elif group.spare_since is None:
            group.spare_since = now
        spare_for = (now - group.spare_since) * self._speed if group.spare_since else 0.0
        size = desired(present, need, bounds, spare_for)
        if protected is not None:
            _protect(group, protected, scales_in=size < present)
        if size != present:
            group.set_desired_capacity(size)


def _protect(group: AutoScalingGroup, busy: Set[str | None], *, scales_in: bool) -> None:
    """Protect the instances with tasks. The others lose their protection only where ECS itself scales in."""
    for member in group.members:
        if member.id in busy:
            member.protected_from_scale_in = True
        elif scales_in:
            member.protected_from_scale_in = False


def _measure(region: str, cluster: str, provider: str, percent: float) -> None:
    """Publish the metric that managed scaling keeps at its target."""
    dimensions = {"CapacityProviderName": provider, "ClusterName": cluster}
    cloudwatch.store(region).add(NAMESPACE, "CapacityProviderReservation", dimensions, [(percent, 1.0)], unit="Percent")


def _resize(group: AutoScalingGroup, busy: set[str | None]) -> None:
    """Give a group its desired size: launch missing instances, and let surplus ones go. Those of a refresh are none."""
    size = max(group.min_size or 0, min(group.max_size or 0, group.desired_capacity or 0))
    if size != group.desired_capacity:
        group.desired_capacity = size
    going = departure(
        [Member(one.id, one.id in busy, one.is_leaving, one.is_protected) for one in group.members], size + group.spare
    )
    for member in group.members:
        if member.id in going.drain:
            member.leave()
    group.end([member for member in group.members if member.id in going.end])
    group.launch_missing()


def _register(backend: EcsBackend, cluster: str) -> list[ContainerInstance]:
    """Bring the container instances of a cluster in line with the instances that have started."""
    known = backend.container_instances.setdefault(cluster, {})
    members = {
        member.id: (member, provider)
        for of, provider, group in _providers(backend)
        if of == cluster
        for member in group.members
        if member.lifecycle_state != PENDING
    }
    for identifier, instance in list(known.items()):
        if isinstance(instance, ContainerInstance) and instance.ec2_instance_id not in members:
            del known[identifier]
    ours = {instance.ec2_instance_id: instance for instance in known.values()}
    for ec2_id, (member, provider) in members.items():
        if ec2_id not in ours:
            made = ContainerInstance(member, cluster, provider if member.is_managed else None, backend)
            known[made.id] = ours[ec2_id] = made
        if member.is_leaving:
            ours[ec2_id].status = DRAINING
    backend.clusters[cluster].registered_container_instances_count = len(known)
    return [instance for instance in known.values() if isinstance(instance, ContainerInstance)]


def _providers(backend: EcsBackend) -> Iterator[tuple[str, str, AutoScalingGroup]]:
    """Yield the capacity providers that clusters use: cluster, provider, group."""
    of_name = {group.name: group for group in groups(backend.region_name)}
    for cluster in backend.clusters.values():
        for name in cluster.capacity_providers or ():
            provider = backend.capacity_providers.get(name)
            details: Mapping[str, Any] = provider.auto_scaling_group_provider if provider else {}
            # A template may give the group's name for the ARN, which ends with the name.
            group = of_name.get(details.get("autoScalingGroupArn", "").rpartition("/")[2])
            if group is not None:
                yield cluster.name, name, group


def _bounds(group: AutoScalingGroup, managed: Mapping[str, Any]) -> Bounds:
    return Bounds(
        minimum=group.min_size or 0,
        maximum=group.max_size or 0,
        target=int(managed["targetCapacity"]),
        smallest_step=int(managed["minimumScalingStepSize"]),
        largest_step=int(managed["maximumScalingStepSize"]),
    )


def _load(backend: EcsBackend) -> dict[str, list[Task]]:
    """Return the tasks on each instance, by the instance's ARN."""
    load: dict[str, list[Task]] = {}
    for task in backend.all_tasks():
        if task.container_instance_arn and task.last_status != "STOPPED":
            load.setdefault(task.container_instance_arn, []).append(task)
    return load


def _soon(
    registered: Iterable[Any], provider: str, group: AutoScalingGroup, load: Mapping[str, Sequence[Task]]
) -> list[Instance]:
    """Return a group's instances as they will be when all starts, and the stops of tasks, have ended."""
    known = {instance.ec2_instance_id: instance for instance in registered}
    soon = []
    for member in group.staying:
        instance = known.get(member.id)
        tasks = load.get(instance.container_instance_arn, ()) if instance else ()
        staying = [task for task in tasks if task.is_wanted]
        room = of_type(member.instance_type) - held(staying)
        of_tasks = tuple(task.group for task in staying)
        soon.append(Instance(member.id, str(member.availability_zone), room, provider, of_tasks, busy=bool(tasks)))
    return soon


def _ec2_id(backend: EcsBackend, arn: str) -> str | None:
    cluster, _, identifier = arn.partition(":container-instance/")[2].partition("/")
    instance = backend.container_instances.get(cluster, {}).get(identifier)
    return instance.ec2_instance_id if instance else None
