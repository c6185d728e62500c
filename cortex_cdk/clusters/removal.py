"""Removes a cluster and everything on it, in the order in which AWS lets go of it.

    splitters -> APIs -> instances -> the cluster's stack

An API's target group cannot go while a splitter forwards to it, and a capacity provider not while a service runs on
it; ``instances`` says why the instances are ended first.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER

from cortex_cdk import log_groups, names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import missing
from cortex_cdk.clusters.instances import end_instances, stacked_groups
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError, CortexError
from cortex_cdk.stack_operations import recovery
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, list_resource_stacks, read_stack

PARALLEL_STACKS = 4


@dataclass(frozen=True)
class Removal:
    """What removing a cluster means.

    Attributes:
        name: The cluster.
        apis: The APIs on it.
        splitters: The traffic splitters on it.
        buckets: The buckets of its stack, which stay.
    """

    name: str
    apis: tuple[str, ...]
    splitters: tuple[str, ...]
    buckets: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """What is still there after a cluster was removed.

    Attributes:
        buckets: Buckets with projects.
        log_groups: Log groups.
    """

    buckets: tuple[str, ...]
    log_groups: tuple[str, ...]


class ClusterRemover:
    """Removes the environment's cluster.

    Args:
        cloud: A session of the environment.
        environment: Whose cluster.
        progress: Hears of each step.

    Raises:
        ClusterError: There is none.
    """

    def __init__(self, cloud: Cloud, environment: Environment, progress: Progress) -> None:
        self._cloud = cloud
        self._name = environment.cluster
        self._progress = progress
        stack = read_stack(cloud, names.cluster_stack(self._name))
        if stack is None:
            raise missing(environment)
        self._stack = stack
        self._role = stack.outputs.get("CloudformationRole")

    def plan(self) -> Removal:
        """Find out what would be removed, and what would stay."""
        return Removal(
            self._name,
            apis=tuple(resource.name for resource, _ in self._stacks(REALTIME_API)),
            splitters=tuple(resource.name for resource, _ in self._stacks(TRAFFIC_SPLITTER)),
            buckets=tuple(self._resources("AWS::S3::Bucket")),
        )

    def remove(self) -> Kept:
        """Remove everything and wait until it is gone.

        Returns:
            What is still there.

        Raises:
            ClusterError: An API or splitter cannot be removed. The cluster stays.
            DeployError: The cluster's stack cannot be deleted.
        """
        self._remove_all(TRAFFIC_SPLITTER)
        self._remove_all(REALTIME_API)
        log_groups.remove_all(self._cloud, self._name)
        buckets = tuple(self._resources("AWS::S3::Bucket"))
        self._end_instances()
        self._progress.step(f"cluster {self._name}", "deleting its stack")
        stack = recovery.make_deletable(self._cloud, self._stack)
        if stack:
            self._cloud.cloudformation.update_termination_protection(
                StackName=stack.id, EnableTerminationProtection=False
            )
            recovery.remove(self._cloud, stack, self._role)
        return Kept(buckets, tuple(self._log_groups()))

    def _stacks(self, kind: str) -> list[tuple[names.Resource, StackState]]:
        """The stacks of all APIs, or of all splitters. What has no tag of the cluster is not deleted with it."""
        return [
            (resource, stack)
            for resource, stack in list_resource_stacks(self._cloud, self._name)
            if resource.kind == kind and stack.tags.get(names.TAG_CLUSTER) == self._name
        ]

    def _remove_all(self, kind: str) -> None:
        with ThreadPoolExecutor(PARALLEL_STACKS) as pool:
            failures = [failure for failure in pool.map(self._remove, self._stacks(kind)) if failure]
        if failures:
            raise ClusterError(
                f"cluster {self._name} was not removed: {failures[0].message}",
                details=[failure.message for failure in failures[1:]],
                hint="remove by hand what the messages name, then try again",
            )

    def _remove(self, one: tuple[names.Resource, StackState]) -> CortexError | None:
        resource, stack = one
        self._progress.step(resource.name, "deleting")
        try:
            deletable = recovery.make_deletable(self._cloud, stack)
            if deletable:
                recovery.remove(self._cloud, deletable, self._role)
        except CortexError as error:
            return error
        return None

    def _resources(self, resource_type: str) -> list[str]:
        pages = self._cloud.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self._stack.id)
        return [
            resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == resource_type and resource.get("PhysicalResourceId")
        ]

    def _end_instances(self) -> None:
        groups = list(stacked_groups(self._cloud, self._stack.id))
        if groups:
            self._progress.step(f"cluster {self._name}", "ending its instances")
            end_instances(self._cloud, groups)

    def _log_groups(self) -> list[str]:
        found = []
        for prefix in (names.log_groups(self._name), names.image_builder_log_group(self._name)):
            pages = self._cloud.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
            found += [group["logGroupName"] for page in pages for group in page["logGroups"]]
        return found
