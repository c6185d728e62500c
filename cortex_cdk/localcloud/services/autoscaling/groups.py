"""Replaces moto's Auto Scaling groups: instances need a while to start, and wait for their last tasks before they go.

The ``lifecycle_state`` of an instance is ``Pending`` (EC2 says ``pending``) until the instance has started, then
``InService``, and ``Terminating:Wait`` while the instance waits for the end of its last tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import moto.autoscaling.models
import moto.autoscaling.urls
from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup, InstanceState, autoscaling_backends
from moto.autoscaling.models import AutoScalingBackend as MotoBackend

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.faults import EVERY_GROUP
from cortex_cdk.localcloud.services.autoscaling.activities import (
    KEPT,
    Activity,
    ended,
    interrupted,
    launched,
    not_launched,
)
from cortex_cdk.localcloud.services.autoscaling.instance_refresh import InstanceRefresh
from cortex_cdk.localcloud.services.autoscaling.launch_faults import LaunchFault
from cortex_cdk.localcloud.services.autoscaling.launch_template import check
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

PENDING, IN_SERVICE, LEAVING = "Pending", "InService", "Terminating:Wait"
RUNNING = ("running", 16)
NOT_YET = ("pending", 0)
MANAGED_TAG = "AmazonECSManaged"
"""The tag that ECS gives the group of a capacity provider, which reaches the instances that are launched from then on.

Those that were launched before it register without the provider's name ("Auto Scaling group capacity providers", ECS
developer guide).
"""
RETRY_AFTER = 10.0
"""Seconds between two attempts to launch an instance, the last of which failed."""
ENDED_KEPT = 20
"""How many ended instances DescribeInstances still knows. EC2 forgets them after about an hour."""


class GroupInstance(InstanceState):
    """An instance of a group.

    Attributes:
        launched_at: When the start of the instance began, in seconds since the epoch.
        noticed_at: When EC2 gave notice that it takes the spot instance back; None where it has not.
        notice_seconds: How long that notice is; 0 for the usual length.
        in_service_since: When the start had ended, in seconds since the epoch.
        template_version: The version of the launch template that the instance was launched from.
    """

    # An instance that an earlier version has stored does not know them.
    in_service_since: float = 0.0
    template_version: str | None = None
    noticed_at: float | None = None
    notice_seconds: float = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.launched_at = steady_clock.now()
        instance: Any = self.instance
        self.template_version = instance.autoscaling_group.template_version
        self._become(PENDING, *NOT_YET)

    @property
    def id(self) -> str:
        """The id of the EC2 instance."""
        return str(self.instance.id)

    @property
    def launch_template(self) -> dict[str, Any] | None:
        """The launch template and the version that the instance was launched from."""
        current: dict[str, Any] | None = super().launch_template
        return {**current, "Version": self.template_version} if current and self.template_version else current

    @property
    def is_managed(self) -> bool:
        """Whether ECS knows the capacity provider of the instance."""
        return any(tag["key"] == MANAGED_TAG for tag in self.instance.get_tags())

    @property
    def is_protected(self) -> bool:
        """Whether the group keeps the instance when the group gets smaller."""
        return bool(self.protected_from_scale_in)

    @property
    def is_leaving(self) -> bool:
        """Whether the instance takes no more tasks, and goes when it has none left."""
        return bool(self.lifecycle_state == LEAVING)

    def enter_service(self) -> None:
        """Record that the instance has started."""
        self.in_service_since = steady_clock.now()
        self._become(IN_SERVICE, *RUNNING)
        instance: Any = self.instance
        group: AutoScalingGroup = instance.autoscaling_group
        subnet = str(instance.subnet_id or "")
        group.record(launched(group.name, self.id, where(str(self.availability_zone), subnet), self.launched_at))

    def notice(self, seconds: float) -> None:
        """Record that EC2 takes the instance back soon. ECS drains an instance at once on that notice.

        Source: "Spot Instance draining", ECS developer guide (``ECS_ENABLE_SPOT_INSTANCE_DRAINING``).

        Args:
            seconds: The length of the notice, in seconds of real time; 0 for the usual length.
        """
        self.noticed_at, self.notice_seconds = steady_clock.now(), seconds
        self.leave()

    def leave(self) -> None:
        """Record that the instance has to go."""
        self._become(LEAVING, *RUNNING)

    def _become(self, lifecycle: str, state: str, code: int) -> None:
        self.lifecycle_state = lifecycle
        self.instance._state.name = state
        self.instance._state.code = code


class AutoScalingGroup(FakeAutoScalingGroup):
    """A group of instances. The first instances are in service at once; later ones need a while to start.

    Attributes:
        spare_since: Since when the group has had more instances than its tasks need, in seconds since the epoch.
        activities: What the group has done to get its size, the oldest first.
        failing_since: Since when no instance has been launched that the group wants, in seconds since the epoch.
        refreshes: The instance refreshes of the group, the oldest first.
        spare: How many instances more than desired there are while a refresh replaces some.
    """

    spare_since: float | None = None
    # Sequences, so that a group has them that an earlier version has stored.
    activities: Sequence[Activity] = ()
    failing_since: float | None = None
    refreshes: Sequence[InstanceRefresh] = ()
    spare: int = 0
    _retry_at: float = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for member in self.members:
            member.enter_service()

    @property
    def members(self) -> list[GroupInstance]:
        """The instances, the oldest first."""
        return [state for state in self.instance_states if isinstance(state, GroupInstance)]

    @property
    def staying(self) -> list[GroupInstance]:
        """The instances that need not go."""
        return [member for member in self.members if not member.is_leaving]

    @property
    def template_version(self) -> str | None:
        """The version of the launch template that new instances are launched from; None without a launch template."""
        template = self.ec2_launch_template
        return str(template.get_version(self.launch_template_version).number) if template else None

    def is_current(self, member: GroupInstance) -> bool:
        """Return whether an instance is as a new one would be."""
        return member.template_version == self.template_version

    @property
    def instance_type(self) -> str:
        """The first type of the mixed instances policy, if there is one, else the type of the launch template."""
        overrides = ((self.mixed_instances_policy or {}).get("LaunchTemplate") or {}).get("Overrides") or []
        types = [override["InstanceType"] for override in overrides if override.get("InstanceType")]
        return str(types[0] if types else super().instance_type)

    def _set_launch_configuration(self, *arguments: Any, **named: Any) -> None:
        super()._set_launch_configuration(*arguments, **named)
        if self.ec2_launch_template is not None:
            check(self.ec2_launch_template.get_version(self.launch_template_version).data)

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """Set the desired number of instances, and launch missing ones. The fleet decides which surplus ones go."""
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        self.launch_missing()

    def get_propagated_tags(self) -> dict[str, str]:
        """Return the tags of new instances. moto would take the text "false" for a yes."""
        return {tag["Key"]: tag["Value"] for tag in self.tags if str(tag.get("PropagateAtLaunch")).lower() == "true"}

    def be_managed(self) -> None:
        """Take the tag by which ECS knows instances that are launched from now on as a capacity provider's."""
        if not any(tag["Key"] == MANAGED_TAG for tag in self.tags):
            self.tags = [*self.tags, {"Key": MANAGED_TAG, "Value": "", "PropagateAtLaunch": "true"}]

    def launch_missing(self) -> None:
        """Launch the missing instances, unless a fault is in the way."""
        missing = (self.desired_capacity or 0) + self.spare - len(self.staying)
        backend: Any = self.autoscaling_backend
        fault: LaunchFault | None = backend.launch_fault(self.name) if missing > 0 else None
        if fault:
            self._fail(fault)
            return
        self.failing_since, self._retry_at = None, 0.0
        if missing > 0:
            self.replace_autoscaling_group_instances(missing, self.get_propagated_tags())

    def _fail(self, fault: LaunchFault) -> None:
        """Record an attempt that has failed, each time that the group tries again."""
        now = steady_clock.now()
        if now < self._retry_at:
            return
        self.failing_since, self._retry_at = self.failing_since or now, now + RETRY_AFTER
        subnet = (self.vpc_zone_identifier or "").split(",")[0]
        zone = self.availability_zones[0]
        self.record(not_launched(self.name, fault.reason(self.instance_type, zone, subnet), where(zone, subnet)))

    @property
    def last_failure(self) -> str:
        """Why the last launch that failed did so; empty where none has."""
        return next((activity.message for activity in reversed(self.activities) if activity.message), "")

    def record(self, activity: Activity) -> None:
        """Keep an activity."""
        self.activities = [*self.activities, activity][-KEPT:]

    def replace_autoscaling_group_instances(self, count_needed: int, propagated_tags: dict[str, str]) -> None:
        """Launch instances, each in the subnet with the fewest."""
        for _ in range(count_needed):
            instance = self._run_instance({**propagated_tags, **self.instance_tags, ASG_NAME_TAG: self.name})
            instance.autoscaling_group = self
            self.instance_states.append(
                GroupInstance(instance, protected_from_scale_in=self.new_instances_protected_from_scale_in)
            )

    def _run_instance(self, tags: dict[str, str]) -> Any:
        template = self.ec2_launch_template
        version = {"Version": str(self.launch_template_version)} if template else {}
        subnets = self.vpc_zone_identifier.split(",") if self.vpc_zone_identifier else []
        in_subnet = Counter(member.instance.subnet_id for member in self.members)
        in_zone = Counter(member.availability_zone for member in self.members)
        reservation = self.ec2_backend.run_instances(
            self.image_id,
            1,
            self.user_data,
            self.security_groups,
            instance_type=self.instance_type,
            tags={"instance": tags},
            placement=min(self.availability_zones, key=lambda zone: in_zone[zone]),
            launch_config=self.launch_config,
            launch_template={"LaunchTemplateId": template.id, **version} if template else None,
            is_instance_type_default=False,
            associate_public_ip=self.launch_config.associate_public_ip_address if self.launch_config else None,
            subnet_id=min(subnets, key=lambda subnet: in_subnet[subnet]) if subnets else None,
        )
        return reservation.instances[0]

    def end(self, members: list[GroupInstance]) -> None:
        """Terminate some of the instances."""
        self._drop(members)
        for member in members:
            self.record(ended(self.name, member.id))

    def _drop(self, members: list[GroupInstance]) -> None:
        if not members:
            return
        self.ec2_backend.terminate_instances([member.id for member in members])
        self.instance_states = [state for state in self.instance_states if state not in members]
        self._forget_ended()

    def give_notice(self, seconds: float) -> bool:
        """Let EC2 take one instance back: the oldest that is in service.

        Args:
            seconds: As for ``GroupInstance.notice``.

        Returns:
            Whether there is one.
        """
        found = next((member for member in self.members if member.lifecycle_state == IN_SERVICE), None)
        if found:
            found.notice(seconds)
        return found is not None

    def lose(self, members: list[GroupInstance]) -> None:
        """Record that EC2 has taken instances back."""
        for member in members:
            self.record(interrupted(self.name, member.id))
        self._drop(members)

    def _forget_ended(self) -> None:
        reservations = self.ec2_backend.reservations
        ended = [
            name for name, made in reservations.items() if all(one.state == "terminated" for one in made.instances)
        ]
        for name in ended[:-ENDED_KEPT]:
            del reservations[name]


class AutoScalingBackend(MotoBackend):
    """The Auto Scaling of one region.

    Attributes:
        launch_faults: What keeps instances from being launched, by the group's name, or ``EVERY_GROUP``.
    """

    launch_faults: Mapping[str, LaunchFault] = MappingProxyType({})

    def fail_launches(self, group: str, fault: LaunchFault) -> None:
        """Let no instance of a group be launched for a while.

        Args:
            group: The group's name, or ``EVERY_GROUP``.
            fault: Why, and until when.
        """
        self.launch_faults = {**self.launch_faults, group: fault}

    def let_launch(self, group: str) -> None:
        """End a fault early."""
        self.launch_faults = {name: fault for name, fault in self.launch_faults.items() if name != group}

    def launch_fault(self, group: str) -> LaunchFault | None:
        """Return what keeps the instances of a group from being launched; None if nothing does."""
        faults = (self.launch_faults.get(name) for name in (group, EVERY_GROUP))
        return next((fault for fault in faults if fault and not fault.is_over), None)

    @property
    def _url_module(self) -> Any:
        # moto derives the module from the class, which is ours here.
        return moto.autoscaling.urls

    def delete_auto_scaling_group(self, group_name: str) -> None:
        """Delete a group, and end its instances with all their tasks."""
        with STATE_LOCK:
            group = self.autoscaling_groups.get(group_name)
            if isinstance(group, AutoScalingGroup):
                group.desired_capacity = 0
                group.end(group.members)
            super().delete_auto_scaling_group(group_name)


def where(zone: str, subnet: str) -> dict[str, str]:
    """Return the details of an activity: where the instance is, or would have been."""
    return {**({"Subnet ID": subnet} if subnet else {}), "Availability Zone": zone}


def groups(region: str) -> Iterator[AutoScalingGroup]:
    """Yield the groups of a region."""
    for group in autoscaling_backends[ACCOUNT_ID][region].autoscaling_groups.values():
        if isinstance(group, AutoScalingGroup):
            yield group


def install() -> None:
    """Make moto use these models. Call this before the first use of Auto Scaling. More calls change nothing."""
    autoscaling_backends.backend = AutoScalingBackend
    moto.autoscaling.models.FakeAutoScalingGroup = AutoScalingGroup  # type: ignore[misc]
