"""The Python client: what the ``cortex`` command does, as functions.

from cortex_cdk.client import Client

client = Client("local")
client.deploy("examples/iris-classifier")
client.predict("iris-classifier", b'{"sepal_length": 5.2, ...}')
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from cortex_cdk import names
from cortex_cdk.aws.certificates import certificate_of
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.clusters.change import ClusterPlan, apply_plan, discard_plan, plan_cluster
from cortex_cdk.clusters.ensure import ensure_cluster
from cortex_cdk.clusters.removal import ClusterRemover, Kept, Removal
from cortex_cdk.clusters.running import RunningCluster, read_cluster
from cortex_cdk.config import Config, load_config
from cortex_cdk.config.cluster import Cluster
from cortex_cdk.config.load_cluster import load_cluster
from cortex_cdk.deploy import deletion
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.deploy.deployer import Deployer, Options
from cortex_cdk.deploy.refresh import refresh
from cortex_cdk.deploy.wait_for_replicas import gather
from cortex_cdk.environment import load_environments
from cortex_cdk.errors import ClusterError, CortexError
from cortex_cdk.logs import LogRecord, follow, read
from cortex_cdk.predict import Answer, Call, Prediction, send
from cortex_cdk.project.archive import collect
from cortex_cdk.project.dependencies import NO_DEPENDENCIES, read_dependencies
from cortex_cdk.stack_operations.progress import Progress, Silent
from cortex_cdk.status.cluster_info import ClusterInfo, cluster_info
from cortex_cdk.status.read_status import UPDATING, ApiStatus, get_api, list_apis, read_apis
from cortex_cdk.status.report import Report, Reporter

SETTLING_POLL_SECONDS = 0.25

log = logging.getLogger(__name__)


class Client:
    """Talks to one environment.

    Args:
        environment: Its name; None takes the default.
        progress: Hears how deployments go.

    Raises:
        CloudError: There is no environment of that name.
    """

    def __init__(self, environment: str | None = None, progress: Progress | None = None) -> None:
        self.environment = load_environments().get(environment)
        self._progress = progress or Silent()

    @cached_property
    def cloud(self) -> Cloud:
        """The environment's cloud; the local one is started."""
        return self.environment.connect()

    @cached_property
    def cluster(self) -> RunningCluster:
        """The environment's cluster.

        Raises:
            ClusterError: It does not exist.
        """
        return read_cluster(self.cloud, self.environment)

    @cached_property
    def _reporter(self) -> Reporter:
        return Reporter(self.cloud, self.cluster)

    def deploy(self, config: Config | Path | str, *, force: bool = False, rebuild: bool = False) -> list[Applied]:
        """Deploy a configuration.

        Args:
            config: A configuration, its file, or the folder of a ``cortex.yaml``.
            force: Cancel an update that runs, rather than refuse.
            rebuild: Build images anew, though there are some for the same dependencies.

        Raises:
            ConfigError: The configuration cannot be used. Nothing was changed.
            CortexError: Nothing was changed; the message says why. What fails later is in the results.
        """
        loaded = config if isinstance(config, Config) else load_config(Path(config))
        project = collect(loaded.project_root, loaded.path)
        is_built = any(api.predictor.image is None for api in loaded.apis)
        dependencies = read_dependencies(project) if is_built else NO_DEPENDENCIES
        for warning in dependencies.warnings:
            log.warning("%s", warning)
        cluster = ensure_cluster(self.cloud, self.environment, self._progress)
        self.__dict__["cluster"] = cluster
        deployer = Deployer(self.cloud, cluster, self._progress, Options(force=force, rebuild=rebuild))
        results = deployer.deploy(loaded, project, dependencies)
        changed = {result.name for result in results if result.changed and not result.error}
        minimums = {api.name: api.autoscaling.min_replicas for api in loaded.apis if api.name in changed}
        gather(lambda apis: read_apis(self.cloud, cluster, apis), minimums, self._progress)
        return results

    def plan_cluster(self, cluster: Cluster | Path | str | None = None, *, creates: bool = True) -> ClusterPlan | None:
        """Find out what making or changing the environment's cluster would do, and what it would cost.

        Args:
            cluster: A configuration or its file; None keeps what is deployed, or takes the built-in one.
            creates: Whether a cluster that does not exist is made.

        Returns:
            What ``apply_cluster`` or ``discard_cluster`` take; None where the cluster is up to date.

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

        Raises:
            ClusterError: It failed; the message names the first cause.
        """
        apply_plan(self.cloud, plan, self._progress)
        self.__dict__.pop("cluster", None)

    def discard_cluster(self, plan: ClusterPlan) -> None:
        """Forget a plan."""
        discard_plan(self.cloud, plan)

    def cluster_info(self) -> ClusterInfo:
        """The environment's cluster, what it costs and what runs on it.

        Raises:
            ClusterError: It does not exist.
        """
        return cluster_info(self.cloud, self.environment, self.cluster)

    def plan_cluster_removal(self) -> Removal:
        """What removing the environment's cluster would remove, and what would stay.

        Raises:
            ClusterError: It does not exist.
        """
        return ClusterRemover(self.cloud, self.environment, self._progress).plan()

    def remove_cluster(self) -> Kept:
        """Remove the environment's cluster with everything on it, and wait until it is gone.

        Returns:
            What is still there.

        Raises:
            CortexError: Something cannot be removed; the message names it.
        """
        kept = ClusterRemover(self.cloud, self.environment, self._progress).remove()
        self.__dict__.pop("cluster", None)
        return kept

    def get(self, name: str) -> ApiStatus:
        """The status of one API or splitter.

        Raises:
            NotDeployedError: There is none of that name.
        """
        return get_api(self.cloud, self.cluster, name)

    def list(self) -> list[ApiStatus]:
        """The status of everything that is deployed."""
        return list_apis(self.cloud, self.cluster)

    def wait_until_settled(self, seconds: float) -> Sequence[ApiStatus]:
        """Wait until no API is being updated, for at most so many seconds; the status of all of them then.

        Nothing is deployed where there is no cluster.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                apis = self.list()
            except ClusterError:
                return []
            if time.monotonic() > deadline or all(api.status != UPDATING for api in apis):
                return apis
            time.sleep(SETTLING_POLL_SECONDS)

    def report(self, name: str) -> Report:
        """All about one API or splitter: status, traffic, predictions, scaling.

        Raises:
            NotDeployedError: There is none of that name.
        """
        return self._reporter.one(name)

    def reports(self) -> Sequence[Report]:
        """Status and traffic of everything that is deployed."""
        return self._reporter.all()

    def logs(
        self,
        name: str,
        *,
        following: bool = False,
        since: datetime | None = None,
        tail: int | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> Iterator[LogRecord]:
        """The log records of an API, oldest first; with ``following``, until it is deleted.

        Args:
            since: Only records from then on.
            tail: Of those that are there, only that many of the newest.
            pause: Waits between two looks, a number of seconds; what it raises ends the iteration.

        Raises:
            NotDeployedError: There is no API of that name.
            CortexError: It is a traffic splitter.
        """
        stack = deletion.find(self.cloud, self.cluster, name)
        if stack.name == names.splitter_stack(self.cluster.name, name):
            members = [f"cortex logs {variant.name}" for variant in self.get(name).variants]
            raise CortexError(
                f"{name} is a traffic splitter and has no replicas: its requests are in the logs of its APIs",
                hint=f"see them with: {', '.join(members)}",
            )
        group = names.log_group(self.cluster.name, name)
        return follow(self.cloud, group, since, tail, pause) if following else read(self.cloud, group, since, tail)

    def predict(
        self,
        name: str,
        body: bytes,
        content_type: str = "application/json",
        headers: Mapping[str, str] = MappingProxyType({}),
        query: Sequence[tuple[str, str]] = (),
    ) -> Prediction:
        """Send a request to an API.

        Args:
            content_type: Of the body, unless the headers name one.
            headers: Further headers of the request.
            query: Query parameters, as names and values; a name may come more than once.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success.
        """
        with self.send(name, Call(body, {"Content-Type": content_type, **headers}, query)) as answer:
            return answer.whole()

    @contextmanager
    def send(self, name: str, call: Call) -> Iterator[Answer]:
        """Send a request to an API, and read the answer while it comes.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success, or the answer broke off.
        """
        api, certificate = self.get(name), None
        if api.endpoint.startswith("https://"):
            certificate = certificate_of(self.cloud, self.cluster.resources.listener_arn)
        with send(api, call, certificate) as answer:
            yield answer

    def refresh(self, name: str) -> None:
        """Replace every replica of an API by a rolling update, without waiting for it.

        Raises:
            NotDeployedError: There is no API of that name.
            CortexError: It is a traffic splitter.
        """
        service = describe_service(self.cloud, self.cluster.name, name)
        if service is None:
            deletion.find(self.cloud, self.cluster, name)
            members = [f"cortex refresh {variant.name}" for variant in self.get(name).variants]
            raise CortexError(
                f"{name} is a traffic splitter and has no replicas", hint=f"refresh its APIs: {', '.join(members)}"
            )
        refresh(self.cloud, self.cluster.name, name, service)

    def delete(self, name: str) -> None:
        """Delete an API or splitter and wait until it is gone.

        Raises:
            NotDeployedError: There is none of that name.
            DeployError: A splitter uses it, or it cannot be deleted.
        """
        deletion.delete(self.cloud, self.cluster, name)
