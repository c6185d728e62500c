"""Makes faults in the local cloud, by the names that users know: APIs and instance groups.

The local cloud knows ECS services and Auto Scaling groups. ``localcloud.faults`` has the kinds of faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.clusters.instances import groups_of_providers
from cortex_cdk.clusters.running import RunningCluster, read_cluster
from cortex_cdk.environment import load_environments
from cortex_cdk.errors import LocalCloudError, NotDeployedError, WrongCallError
from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.faults import EVERY_GROUP, GROUP_KINDS, OUTAGES, REPLICA_KINDS, Fault, FaultDoor
from cortex_cdk.localcloud.settings import Settings
from cortex_cdk.stack_operations.stack import not_deployed


class Chaos:
    """The faults of the local cloud that runs.

    Args:
        environment: Name of the environment that is the local cloud's.

    Raises:
        LocalCloudError: The local cloud does not run.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        endpoint = launcher.status(Settings.from_environ())
        if endpoint is None:
            raise LocalCloudError("the local cloud is not running", hint="start it with: cortex local up")
        self._door = FaultDoor(endpoint.control_url)

    def begin(self, kind: str, name: str | None, seconds: float) -> None:
        """Make a fault.

        Args:
            kind: One of ``faults.KINDS``, but not ``daemon-kill``.
            name: An API; for faults of instances also an instance group, or None for all. Not needed for outages.
            seconds: For how long; 0 strikes once.

        Raises:
            CortexError: Nothing of that name is there, or it cannot be struck now.
        """
        for target in self._targets(kind, name):
            self._door.begin(kind, target, seconds)

    def end(self, kind: str | None = None, name: str | None = None) -> list[Fault]:
        """End faults before their time.

        Args:
            kind: One of ``faults.KINDS``; None ends every fault.
            name: As for ``begin``; None ends those of all names.

        Returns:
            The faults that were ended.
        """
        targets = self._targets(kind, name) if kind and name else None
        ended = [
            fault
            for fault in self._door.active()
            if kind in (None, fault.kind) and (targets is None or fault.target in targets)
        ]
        for fault in ended:
            self._door.end(fault.kind, fault.target)
        return self._named(ended)

    def active(self) -> list[Fault]:
        """Return the faults that go on, with the names that users know."""
        return self._named(self._door.active())

    def _cluster(self) -> tuple[Cloud, RunningCluster]:
        environment = load_environments().get(self._environment)
        cloud = environment.connect()
        return cloud, read_cluster(cloud, environment)

    def _named(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return faults with the names that users know."""
        of_user = {EVERY_GROUP: "every instance group"}
        if any(fault.kind in GROUP_KINDS and fault.target != EVERY_GROUP for fault in faults):
            cloud, cluster = self._cluster()
            group_of = {one.capacity_provider: one.group for one in cluster.resources.providers}
            found = groups_of_providers(cloud, list(group_of))
            of_user.update({group: group_of[provider] for provider, group in found.items()})
        services = {fault.target: fault.target.rpartition("/")[2] for fault in faults if fault.kind in REPLICA_KINDS}
        named = {**of_user, **services}
        return [replace(fault, target=named.get(fault.target, fault.target)) for fault in faults]

    def _targets(self, kind: str, name: str | None) -> Sequence[str]:
        """Find what a fault strikes, by the names that the local cloud knows."""
        if kind in OUTAGES:
            return [""]
        if kind in GROUP_KINDS and name is None:
            return [EVERY_GROUP]
        if name is None:
            raise WrongCallError(f"{kind} needs the name of an API", hint="list what is deployed with: cortex get")
        cloud, cluster = self._cluster()
        if kind in REPLICA_KINDS:
            return [_service(cloud, cluster, name)]
        return _groups(cloud, cluster, name)


def _service(cloud: Cloud, cluster: RunningCluster, name: str) -> str:
    if describe_service(cloud, cluster.name, name) is None:
        raise not_deployed(cloud, cluster.name, name)
    return f"{names.ecs_cluster(cluster.name)}/{names.service(name)}"


def _groups(cloud: Cloud, cluster: RunningCluster, name: str) -> list[str]:
    """Find the Auto Scaling group of an instance group, or those that the replicas of an API run on."""
    known = {one.group: one.capacity_provider for one in cluster.resources.providers}
    wanted = [known[name]] if name in known else []
    if not wanted:
        service = describe_service(cloud, cluster.name, name)
        wanted = [item["capacityProvider"] for item in (service or {}).get("capacityProviderStrategy", [])]
    found = groups_of_providers(cloud, wanted)
    if not found:
        raise NotDeployedError(
            f"there is no instance group or API {name}",
            hint=f"instance groups: {', '.join(known)}; list the APIs with: cortex get",
        )
    return list(found.values())
