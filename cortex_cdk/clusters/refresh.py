"""Replaces the instances of a cluster by new ones of the newest machine image, one at a time in each group.

    read -> plan -> the user agrees -> the launch templates -> instance refreshes -> wait

EC2 Auto Scaling replaces the instances, and ECS moves the replicas off each one before it goes (decision 0058). AWS
goes on when nobody waits any more; the same command waits for a refresh that goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.launch_failures import last_launch_failure
from cortex_cdk.aws.polling import pauses
from cortex_cdk.capacity.instance_start import WARMUP_S
from cortex_cdk.clusters.change import changeable, missing, read_configuration
from cortex_cdk.clusters.machine_images import GroupImages, instances_of, read_machine_images
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError
from cortex_cdk.stack_operations.change_set import ChangeSet, create_change_set, discard
from cortex_cdk.stack_operations.operation import run
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.recovery import recovery_for
from cortex_cdk.stack_operations.stack import StackState, read_stack

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import InstanceRefreshTypeDef

SUCCEEDED = "Successful"
ENDED = frozenset({SUCCEEDED, "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"})


@dataclass(frozen=True)
class GroupRefresh:
    """What a refresh means for an instance group.

    Attributes:
        images: The group's instances, and their images.
        instances: The ids of the instances to replace.
        running: The id of an instance refresh that goes on already; None without one.
    """

    images: GroupImages
    instances: tuple[str, ...]
    running: str | None


@dataclass(frozen=True)
class RefreshPlan:
    """What refreshing a cluster would do.

    Attributes:
        cluster: The cluster.
        groups: The instance groups.
        change_set: Gives the launch templates the newest images; it waits to be carried out or discarded. None where
            they have them.
    """

    cluster: str
    groups: tuple[GroupRefresh, ...]
    change_set: ChangeSet | None


@dataclass(frozen=True)
class Refreshed:
    """An instance group after a refresh.

    Attributes:
        group: The instance group.
        replaced: The ids of the instances that are gone.
        instances: The ids of those that are there.
        image: The machine image that they run; None where that may not be asked.
    """

    group: str
    replaced: tuple[str, ...]
    instances: tuple[str, ...]
    image: str | None

    def as_json(self) -> dict[str, Any]:
        """The object of the group in ``cortex cluster refresh -o json``."""
        return {
            "name": self.group,
            "replaced": list(self.replaced),
            "instances": list(self.instances),
            "image": self.image,
        }


class ClusterRefresher:
    """Replaces the instances of the environment's cluster.

    Args:
        cloud: A session of the environment.
        environment: Whose cluster.
        progress: Hears of each step.
    """

    def __init__(self, cloud: Cloud, environment: Environment, progress: Progress) -> None:
        self._cloud = cloud
        self._environment = environment
        self._progress = progress

    def images(self) -> tuple[GroupImages, ...]:
        """Read which machine images the instances run, and which are the newest.

        Raises:
            ClusterError: There is no cluster, or it was made by another version.
        """
        stack = read_stack(self._cloud, names.cluster_stack(self._environment.cluster))
        if stack is None:
            raise missing(self._environment)
        return read_machine_images(self._cloud, read_configuration(self._cloud, stack), stack)

    def plan(self, group: str | None = None) -> RefreshPlan:
        """Find out what a refresh would do.

        Args:
            group: The instance group to refresh; None refreshes all.

        Returns:
            The plan. It leaves at most a change set behind, which ``discard`` removes.

        Raises:
            ClusterError: There is no cluster, or no such group; or another operation runs.
        """
        stack = self._changeable()
        configuration = read_configuration(self._cloud, stack)
        known = [one.name for one in configuration.instance_groups]
        if group is not None and group not in known:
            cluster = self._environment.cluster
            raise ClusterError(f"cluster {cluster} has no instance group {group!r}", hint=f"it has: {', '.join(known)}")
        images = read_machine_images(self._cloud, configuration, stack)
        groups = self._groups([one for one in images if group in (None, one.group)])
        change_set = _newest_images(self._cloud, stack, configuration.cloudformation_role)
        busy = [one for one in groups if one.running]
        if change_set and busy:
            discard(self._cloud, change_set)
            raise _other_refresh(busy[0])
        return RefreshPlan(self._environment.cluster, groups, change_set)

    def _changeable(self) -> StackState:
        stack = changeable(self._cloud, self._environment)
        if stack is None or stack.never_worked:
            raise missing(self._environment)
        if recovery_for(stack):
            raise ClusterError(
                f"the last change of cluster {self._environment.cluster} has failed ({stack.status})",
                hint="first recover it: cortex cluster configure",
            )
        return stack

    def _groups(self, images: Sequence[GroupImages]) -> tuple[GroupRefresh, ...]:
        present = instances_of(self._cloud, [one.scaling_group for one in images])
        return tuple(
            GroupRefresh(one, present.get(one.scaling_group, ()), _running_refresh(self._cloud, one.scaling_group))
            for one in images
        )

    def discard(self, plan: RefreshPlan) -> None:
        """Forget a plan. The cluster stays as it is."""
        if plan.change_set:
            discard(self._cloud, plan.change_set)

    def apply(self, plan: RefreshPlan) -> tuple[Refreshed, ...]:
        """Carry out a plan and wait until every instance is replaced.

        Returns:
            The groups afterwards.

        Raises:
            ClusterError: The launch templates could not be changed, or instances could not be replaced.
            DeployError: Another operation was quicker.
        """
        if plan.change_set:
            self._take_newest_images(plan.cluster, plan.change_set)
        refreshes = {}
        for group in plan.groups:
            if group.running:
                self._progress.step(f"group {group.images.group}", "its instances are being replaced already")
            if group.running or group.instances:
                refreshes[group.images.group] = (group, group.running or _start(self._cloud, group))
        _wait(self._cloud, refreshes, self._progress)
        return _refreshed(self._cloud, plan)

    def _take_newest_images(self, cluster: str, change_set: ChangeSet) -> None:
        subject = f"cluster {cluster}"
        self._progress.step(subject, "new instances start from the newest machine images from now on")
        outcome = run(self._cloud, change_set, subject, self._progress)
        if not outcome.succeeded:
            cause = outcome.cause
            reason = cause.explanation if cause else outcome.status
            hint = cause.remedy if cause else None
            raise ClusterError(f"cluster {cluster} could not take the newest machine images: {reason}", hint=hint)


def _other_refresh(group: GroupRefresh) -> ClusterError:
    name = group.images.scaling_group
    return ClusterError(
        f"the instances of group {group.images.group} are being replaced already, by an image that is not the newest",
        hint="wait until that has ended, or end it: "
        f"aws autoscaling cancel-instance-refresh --auto-scaling-group-name {name}",
    )


def _running_refresh(cloud: Cloud, scaling_group: str) -> str | None:
    described = cloud.autoscaling.describe_instance_refreshes(AutoScalingGroupName=scaling_group, MaxRecords=1)
    newest = next(iter(described["InstanceRefreshes"]), None)
    return newest["InstanceRefreshId"] if newest and newest["Status"] not in ENDED else None


def _newest_images(cloud: Cloud, stack: StackState, role: str | None) -> ChangeSet | None:
    """Ask CloudFormation for the same template: it reads the images' parameters anew at every update."""
    return create_change_set(
        cloud, stack.name, template=None, parameters=stack.parameters, tags=stack.tags, creates=False, role=role
    )


def _start(cloud: Cloud, group: GroupRefresh) -> str:
    """Let Auto Scaling replace the instances. One more instance comes before one goes.

    Source: RefreshPreferences, and "Safely stop Amazon ECS workloads running on EC2 instances" (ECS developer guide):
    with managed termination protection, the refresh has to replace protected instances, too.
    """
    count = len(group.instances)
    started = cloud.autoscaling.start_instance_refresh(
        AutoScalingGroupName=group.images.scaling_group,
        Preferences={
            "MinHealthyPercentage": 100,
            # Shares are rounded up: this is one instance more, however many there are.
            "MaxHealthyPercentage": max(101, 100 * (count + 1) // count),
            "InstanceWarmup": WARMUP_S,
            "ScaleInProtectedInstances": "Refresh",
            "SkipMatching": False,
        },
    )
    return started["InstanceRefreshId"]


def _wait(cloud: Cloud, refreshes: dict[str, tuple[GroupRefresh, str]], progress: Progress) -> None:
    said: dict[str, str] = {}
    for pause in pauses():
        for name, (group, identifier) in list(refreshes.items()):
            state = _state(cloud, group, identifier)
            if state["Status"] in ENDED and state["Status"] != SUCCEEDED:
                raise _not_replaced(group, state)
            scaling_group = group.images.scaling_group
            present = instances_of(cloud, [scaling_group]).get(scaling_group, ())
            told = _in_words(group, state)
            # Without a new instance nothing goes on.
            if state["Status"] != SUCCEEDED and len(present) <= len(group.instances):
                failure = last_launch_failure(cloud, scaling_group, state.get("StartTime"))
                told = f"EC2 launches no instance: {failure}" if failure else told
            if told != said.get(name):
                said[name] = told
                progress.step(f"group {name}", told)
            # An instance counts as replaced while its last replicas still move.
            if state["Status"] == SUCCEEDED and not set(present) & set(_old(group)):
                del refreshes[name]
        if not refreshes:
            return
        time.sleep(pause)


def _old(group: GroupRefresh) -> tuple[str, ...]:
    """The instances that have to be gone. Of a refresh that somebody began before, nobody knows."""
    return () if group.running else group.instances


def _state(cloud: Cloud, group: GroupRefresh, identifier: str) -> InstanceRefreshTypeDef:
    described = cloud.autoscaling.describe_instance_refreshes(
        AutoScalingGroupName=group.images.scaling_group, InstanceRefreshIds=[identifier]
    )
    return described["InstanceRefreshes"][0]


def _in_words(group: GroupRefresh, state: InstanceRefreshTypeDef) -> str:
    total = len(group.instances)
    left = state.get("InstancesToUpdate", total)
    done = f"{state.get('PercentageComplete', 0)} %" if group.running else f"{max(0, total - left)} of {total}"
    reason = state.get("StatusReason", "")
    return f"{done} instances replaced" + (f"; {reason[0].lower()}{reason[1:].rstrip('.')}" if reason else "")


def _not_replaced(group: GroupRefresh, state: InstanceRefreshTypeDef) -> ClusterError:
    reason = state.get("StatusReason", "no reason was given")
    return ClusterError(
        f"the instances of group {group.images.group} were not all replaced ({state['Status'].lower()}): {reason}",
        hint="the replicas go on; once the cause is mended, run again: cortex cluster refresh",
    )


def _refreshed(cloud: Cloud, plan: RefreshPlan) -> tuple[Refreshed, ...]:
    present = instances_of(cloud, [group.images.scaling_group for group in plan.groups])
    found = []
    for group in plan.groups:
        now = present.get(group.images.scaling_group, ())
        gone = tuple(one for one in group.instances if one not in now)
        found.append(Refreshed(group.images.group, gone, now, group.images.newest))
    return tuple(found)
