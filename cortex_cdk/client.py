"""The Python client: what the ``cortex`` command does, as functions.

from cortex_cdk import Client

client = Client("local")
client.deploy("examples/iris-classifier")
client.predict("iris-classifier", b'{"sepal_length": 5.2, ...}')
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from cortex_cdk import log_groups, names
from cortex_cdk.access_keys import ClusterKeys
from cortex_cdk.aws.certificates import certificate_of
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.cluster_client import KnownCluster
from cortex_cdk.clusters.ensure import ensure_cluster
from cortex_cdk.config import Config
from cortex_cdk.deploy import deletion
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.deploy.deployer import Deployer, Options
from cortex_cdk.deploy.preview import plan_deployment
from cortex_cdk.deploy.refresh import refresh
from cortex_cdk.deploy.source import load_source
from cortex_cdk.deploy.wait_for_replicas import wait_for_replicas
from cortex_cdk.errors import ClusterError, CortexError, DeployError, NotDeployedError
from cortex_cdk.history_client import HistoryClient
from cortex_cdk.logs import LogRecord, follow, read
from cortex_cdk.predict import Answer, Call, Prediction, send
from cortex_cdk.secrets.store import Secrets
from cortex_cdk.stack_operations.plan_report import PlanReport
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.status.read_status import UPDATING, ApiStatus, get_api, list_apis, read_apis
from cortex_cdk.status.report import Report

SETTLING_POLL_SECONDS = 0.25


class Client(HistoryClient):
    """Talks to one environment.

    Args:
        environment: Its name; None takes the default.
        progress: Hears how deployments go.

    Raises:
        CloudError: There is no environment of that name.
    """

    @property
    def secrets(self) -> Secrets:
        """The secrets for the cluster's APIs."""
        return Secrets(self.cloud, self.environment.cluster)

    @property
    def keys(self) -> ClusterKeys:
        """The API keys of the environment's cluster."""
        return ClusterKeys(self.cloud, self.cluster)

    def deploy(
        self,
        config: Config | Path | str,
        *,
        force: bool = False,
        rebuild: bool = False,
        strict: bool = False,
        message: str | None = None,
    ) -> list[Applied]:
        """Deploy a configuration.

        Args:
            config: A configuration, its file, or the folder of a ``cortex.yaml``.
            force: Cancel an update that runs, rather than refuse.
            rebuild: Build images anew, though there are some for the same dependencies.
            strict: Refuse a project with files that look like secrets.
            message: Why, for the history of the APIs.

        Raises:
            CortexError: Nothing was changed; the message says why. What fails later is in the results.
        """
        source = load_source(config, self._progress, strict=strict)
        cluster = ensure_cluster(self.cloud, self.environment, self._progress)
        self._read = KnownCluster(self.cloud, cluster)
        options = Options(force=force, rebuild=rebuild, message=message)
        deployer = Deployer(self.cloud, cluster, self._progress, options)
        results = deployer.deploy(source.config, source.files, source.dependencies)
        changed = {result.name for result in results if result.changed and not result.error}
        minimums = {api.name: api.autoscaling.min_replicas for api in source.config.apis if api.name in changed}
        wait_for_replicas(lambda apis: read_apis(self.cloud, cluster, apis), minimums, self._progress)
        return results

    def plan_deployment(
        self, config: Config | Path | str, *, force: bool = False, rebuild: bool = False, strict: bool = False
    ) -> PlanReport:
        """Find out what ``deploy`` would do with the same arguments. Changes nothing.

        Args:
            config: A configuration, its file, or the folder of a ``cortex.yaml``.
            force: Plan as if an update that runs were cancelled.
            rebuild: Plan as if images were built anew.
            strict: Refuse a project with files that look like secrets.

        Raises:
            CortexError: The plan cannot be made, or something stands in the way; the message says why.
        """
        source = load_source(config, self._progress, strict=strict)
        return plan_deployment(self.cloud, self.environment, source, Options(force=force, rebuild=rebuild))

    def get(self, name: str) -> ApiStatus:
        """Read the status of one API or splitter.

        Raises:
            NotDeployedError: There is none of that name.
        """
        return get_api(self.cloud, self.cluster, name)

    def list(self) -> list[ApiStatus]:
        """Read the status of everything that is deployed."""
        return list_apis(self.cloud, self.cluster)

    def wait_until_settled(self, seconds: float) -> Sequence[ApiStatus]:
        """Wait until no API is being updated.

        Args:
            seconds: How long at most.

        Returns:
            The status of everything then; nothing where there is no cluster.
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

    def report(self, name: str, *, with_configuration: bool = False) -> Report:
        """Report everything about one API or splitter: status, traffic, predictions, scaling.

        Args:
            name: The API or splitter.
            with_configuration: Whether the fields of an API's ``cortex.yaml`` are reported, too, as they are deployed.

        Raises:
            NotDeployedError: There is none of that name.
        """
        return self._known.reporter.one(name, with_configuration=with_configuration)

    def reports(self) -> Sequence[Report]:
        """Report status and traffic of everything that is deployed."""
        return self._known.reporter.all()

    def logs(
        self,
        name: str,
        *,
        following: bool = False,
        since: datetime | None = None,
        tail: int | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> Iterator[LogRecord]:
        """Read the log records of an API, oldest first.

        Args:
            name: The API.
            following: Go on with new records as they come, until the API is deleted. Not where it is not deployed, and
                only its records are still there (``why_not_deployed``).
            since: Only records from then on.
            tail: Of those that are there, only that many of the newest.
            pause: Waits between two looks, a number of seconds; an exception that it raises ends the iteration.

        Raises:
            NotDeployedError: There is no API of that name, and no record of one.
            CortexError: It is a traffic splitter.
        """
        group = names.log_group(self.cluster.name, name)
        try:
            stack = deletion.find(self.cloud, self.cluster, name)
        except NotDeployedError:
            if not log_groups.is_kept(self.cloud, self.cluster.name, name):
                raise
            return read(self.cloud, group, since, tail)
        if stack.name == names.splitter_stack(self.cluster.name, name):
            members = [f"cortex logs {variant.name}" for variant in self.get(name).variants]
            raise CortexError(
                f"{name} is a traffic splitter and has no replicas: its requests are in the logs of its APIs",
                hint=f"see them with: {', '.join(members)}",
            )
        if not following:
            return read(self.cloud, group, since, tail)

        def is_deployed() -> bool:
            return read_stack(self.cloud, stack.name) is not None

        return follow(self.cloud, group, since, tail, pause=pause, is_deployed=is_deployed)

    def why_not_deployed(self, name: str) -> str | None:
        """Say why an API is not deployed whose records are still there, as after a first deployment that failed.

        Returns:
            None where it is deployed, or nothing is left of it.
        """
        return deletion.why_not_deployed(self.cloud, self.cluster, name)

    def predict(
        self,
        name: str,
        body: bytes,
        content_type: str = "application/json",
        headers: Mapping[str, str] = MappingProxyType({}),
        query: Sequence[tuple[str, str]] = (),
        *,
        key: str | None = None,
    ) -> Prediction:
        """Send a request to an API and read the whole answer.

        Args:
            name: The API or splitter.
            body: The request's body.
            content_type: Of the body, unless the headers name one.
            headers: Further headers of the request.
            query: Query parameters, as names and values; a name may come more than once.
            key: The API key; None takes the one in ``CORTEX_API_KEY``, if it is set.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success.
        """
        with self.send(name, Call(body, {"Content-Type": content_type, **headers}, query, key)) as answer:
            return answer.whole()

    @contextmanager
    def send(self, name: str, call: Call) -> Iterator[Answer]:
        """Send a request to an API, and read the answer while it comes.

        Args:
            name: The API or splitter.
            call: What to send.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success, or the answer broke off.
        """
        api, cluster, certificate = self.get(name), self.cluster, None
        if api.endpoint.startswith("https://"):
            certificate = certificate_of(self.cloud, cluster.resources.listener_arn)
        with send(api, call, certificate, cluster.address) as answer:
            yield answer

    def refresh(self, name: str, *, force: bool = False) -> None:
        """Replace every replica of an API by a rolling update, without waiting for it.

        Args:
            name: The API.
            force: Take the place of an update or a refresh that runs, rather than refuse.

        Raises:
            NotDeployedError: There is no API of that name.
            CortexError: It is a traffic splitter.
            DeployError: Its replicas are being replaced already, or it is being made or deleted.
        """
        service = describe_service(self.cloud, self.cluster.name, name)
        if service is None:
            stack = deletion.find(self.cloud, self.cluster, name)
            if stack.name == names.api_stack(self.cluster.name, name):
                raise DeployError(
                    f"{name} has no replicas yet, or none any more ({stack.status})",
                    hint=f"see how it goes with: cortex get {name}",
                )
            members = [f"cortex refresh {variant.name}" for variant in self.get(name).variants]
            raise CortexError(
                f"{name} is a traffic splitter and has no replicas", hint=f"refresh its APIs: {', '.join(members)}"
            )
        refresh(self.cloud, self.cluster.name, name, service, force=force)

    def delete(self, name: str) -> None:
        """Delete an API or splitter, with its records, and wait until it is gone.

        Raises:
            NotDeployedError: There is none of that name, and no record of one.
            DeployError: A splitter forwards to it, or it cannot be deleted.
        """
        deletion.delete(self.cloud, self.cluster, name)
