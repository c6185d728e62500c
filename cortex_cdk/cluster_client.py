"""What the Python client knows of an environment, and does with its cluster."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import ClusterPlan, apply_plan, plan_cluster
from cortex_cdk.clusters.members import check_members
from cortex_cdk.clusters.refresh import ClusterRefresher
from cortex_cdk.clusters.removal import ClusterRemover, Kept, Removal
from cortex_cdk.clusters.running import RunningCluster, read_cluster
from cortex_cdk.config.cluster import Cluster
from cortex_cdk.config.load_cluster import load_cluster
from cortex_cdk.environment import load_environments
from cortex_cdk.predict.routes import Routes
from cortex_cdk.stack_operations.progress import Progress, on_stderr, progress_of
from cortex_cdk.status.cluster_info import ClusterInfo, cluster_info
from cortex_cdk.status.report import Reporter


class KnownCluster:
    """A cluster as it was read, and everything that is made from it: forgotten together."""

    def __init__(self, cloud: Cloud, cluster: RunningCluster) -> None:
        self.cluster = cluster
        self.reporter = Reporter(cloud, cluster)
        self.routes = Routes(cloud, cluster)


class ClusterClient:
    """Talks to one environment, and makes, changes and removes its cluster. See ``Client``.

    Args:
        environment: Its name; None takes the default.
        progress: A function that hears in lines how operations go; None hears nothing. Or a ``Progress``.

    Raises:
        CloudError: There is no environment of that name.
    """

    def __init__(
        self, environment: str | None = None, progress: Progress | Callable[[str], object] | None = on_stderr
    ) -> None:
        self.environment = load_environments().get(environment)
        self._progress = progress_of(progress)
        self._read: KnownCluster | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of environment {self.environment.name}>"

    @cached_property
    def cloud(self) -> Cloud:
        """The session of the environment. The local cloud is started."""
        return self.environment.connect()

    @property
    def cluster(self) -> RunningCluster:
        """The environment's cluster. It is read once, and anew after this client has changed it.

        Raises:
            ClusterError: It does not exist.
        """
        return self._known.cluster

    @property
    def _known(self) -> KnownCluster:
        if self._read is None:
            self._read = KnownCluster(self.cloud, read_cluster(self.cloud, self.environment))
        return self._read

    def plan_cluster(self, cluster: Cluster | Path | str | None = None, *, creates: bool = True) -> ClusterPlan | None:
        """Find out what making or changing the environment's cluster would do, and what it would cost.

        Args:
            cluster: A configuration or its file; None keeps what is deployed, or takes the built-in one.
            creates: Whether a cluster that does not exist is made.

        Returns:
            What ``apply_cluster`` takes; None where the cluster is up to date.

        Raises:
            ConfigError: The file cannot be used.
            CortexError: The cluster cannot be made or changed so; the message says why.
        """
        where = self.environment
        if isinstance(cluster, Path | str):
            cluster = load_cluster(Path(cluster), name=where.cluster, region=where.region)
        return plan_cluster(self.cloud, where, cluster, creates=creates)

    def apply_cluster(self, plan: ClusterPlan) -> None:
        """Make or change the cluster as planned.

        Args:
            plan: What ``plan_cluster`` returned.

        Raises:
            ClusterError: It failed; the message names the first cause.
            DeployError: Another operation was quicker, or the stack cannot be recovered.
        """
        self._read = None
        apply_plan(self.cloud, plan, self._progress)

    def check_cluster_members(self) -> None:
        """Look whether the instances of the cluster take replicas, and replace those that do not.

        Raises:
            ClusterError: There is no cluster.
        """
        check_members(self.cloud, self.cluster.name, self._progress)

    def cluster_info(self) -> ClusterInfo:
        """Read everything about the environment's cluster: what it is, what it costs, and what runs on it.

        Raises:
            ClusterError: There is none.
        """
        return cluster_info(self.cloud, self.environment, self.cluster)

    @property
    def refresher(self) -> ClusterRefresher:
        """Replaces the instances of the environment's cluster, and says which have an old machine image."""
        return ClusterRefresher(self.cloud, self.environment, self._progress)

    def plan_cluster_removal(self) -> Removal:
        """Find out what removing the environment's cluster would remove, and what would stay.

        Raises:
            ClusterError: There is none.
        """
        return ClusterRemover(self.cloud, self.environment, self._progress).plan()

    def remove_cluster(self) -> Kept:
        """Remove the environment's cluster with everything on it, and wait until it is gone.

        Returns:
            What is still there.

        Raises:
            CortexError: Something cannot be removed; the message names it.
        """
        self._read = None
        return ClusterRemover(self.cloud, self.environment, self._progress).remove()
