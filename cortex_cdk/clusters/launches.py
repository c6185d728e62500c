"""Watches the instances of a cluster while its stack is changed, and says why EC2 launches none.

CloudFormation waits for the first instances of a group, and gives up after minutes in which nothing is heard.
"""

from __future__ import annotations

import time

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.aws.launch_failures import LaunchFailure, last_launch_failure
from cortex_cdk.clusters.instances import GROUP_TYPE, stacked_groups
from cortex_cdk.stack_operations.resource_words import in_words
from cortex_cdk.stack_operations.stack import read_stack

LOOK_SECONDS = 2.0


class LaunchWatcher:
    """Looks at the groups of a cluster's stack again and again, from the start of an operation on.

    Args:
        cloud: A session of the environment.
        stack_id: The stack that is made or changed.

    Attributes:
        failure: No replica is watched.
        capacity_problem: No replica is watched.
        launch_failure: Why EC2 launched no instance; None where none was missing at the last look.
    """

    failure: None = None
    capacity_problem: None = None

    def __init__(self, cloud: Cloud, stack_id: str) -> None:
        self._cloud = cloud
        self._stack_id = stack_id
        self._told: set[tuple[str, str]] = set()
        self._next_look = 0.0
        self.launch_failure: LaunchFailure | None = None

    def look(self) -> list[str]:
        """Look once. Returns which groups cannot start instances, and why, as far as that is new."""
        from botocore.exceptions import ClientError

        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            found = self._failures()
        except ClientError as error:
            if ("", "") in self._told:
                return []
            self._told.add(("", ""))
            return [f"whether instances start is not known: {error_message(error)}"]
        if found:
            # Of the last one that is there: a roll-back removes the groups, and not the reason.
            self.launch_failure = next(iter(found.values()))
        fresh = [(name, failure) for name, failure in found.items() if (name, failure.what) not in self._told]
        self._told.update((name, failure.what) for name, failure in fresh)
        return [f"{name} cannot start an instance: {failure}" for name, failure in fresh]

    def _failures(self) -> dict[str, LaunchFailure]:
        """Why launches fail, by the group in words."""
        stack = read_stack(self._cloud, self._stack_id)
        words_of = self._groups() if stack else {}
        if stack is None or not words_of:
            return {}
        described = self._cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(words_of))
        found = {}
        for group in described["AutoScalingGroups"]:
            name = group["AutoScalingGroupName"]
            if len(group["Instances"]) < group["DesiredCapacity"]:
                failure = last_launch_failure(self._cloud, name, stack.updated)
                found.update({words_of[name]: failure} if failure else {})
        return found

    def _groups(self) -> dict[str, str]:
        """The Auto Scaling groups of the stack that are there, in words."""
        groups = stacked_groups(self._cloud, self._stack_id)
        return {name: in_words(logical_id, GROUP_TYPE) for name, logical_id in groups.items()}
