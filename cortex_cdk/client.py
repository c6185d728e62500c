"""The Python client: what the ``cortex`` command does, as functions.

from cortex_cdk import Client

client = Client("local")
client.deploy("examples/iris-classifier")
client.predict("iris-classifier", {"sepal_length": 5.2, ...})
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_serving.contract import TRAFFIC_SPLITTER

from cortex_cdk import log_groups, names
from cortex_cdk.access_keys import ClusterKeys
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.cluster_client import KnownCluster
from cortex_cdk.clusters.ensure import ensure_cluster
from cortex_cdk.config import Config
from cortex_cdk.deploy import deletion
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.deploy.class_project import ClassOptions
from cortex_cdk.deploy.deployer import Deployer, Options
from cortex_cdk.deploy.preview import plan_deployment
from cortex_cdk.deploy.refresh import refresh
from cortex_cdk.deploy.source import load_source
from cortex_cdk.errors import ClusterError, CortexError, DeployError, NotDeployedError
from cortex_cdk.history_client import HistoryClient
from cortex_cdk.logs import EVERYTHING, LogFilter, LogRecord, follow, read
from cortex_cdk.prediction_client import PredictionClient
from cortex_cdk.secrets.store import Secrets
from cortex_cdk.stack_operations.plan_report import PlanReport
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.status.diagnosis import Diagnosis, why
from cortex_cdk.status.read_status import ERROR, LIVE, UPDATING, ApiStatus, get_api, list_apis, read_apis
from cortex_cdk.status.report import Report
from cortex_cdk.status.series import DEFAULT_SINCE, POINTS, Measurements, read_measurements

if TYPE_CHECKING:
    from typing_extensions import Unpack

SETTLING_POLL_SECONDS = 0.25
WAITING_POLL_SECONDS = 1.0


class Client(HistoryClient, PredictionClient):
    """Talks to one environment.

    Args:
        environment: Its name; None takes the default.
        progress: A function that hears in lines how deployments go; None hears nothing. Or a ``Progress``.

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
        source: Config | Path | str | type,
        /,
        *,
        force: bool = False,
        rebuild: bool = False,
        strict: bool = False,
        message: str | None = None,
        check: bool = True,
        wait: bool = True,
        **of_class: Unpack[ClassOptions],
    ) -> list[Applied]:
        """Deploy a folder, or a predictor class, and wait until it serves.

            client.deploy("examples/iris-classifier")
            client.deploy(IrisPredictor, name="iris", files={"model.joblib": model}, compute={"mem": "512Mi"})

        Args:
            source: The folder of a ``cortex.yaml``, that file, a configuration; or a class, as of a notebook's cell.
            force: Cancel an update that runs, rather than refuse.
            rebuild: Build images anew, though there are some for the same dependencies.
            strict: Refuse a project with files that look like secrets.
            message: Why, for the history of the APIs.
            check: Raise what went wrong with an API; else it is the ``error`` in the API's result.
            of_class: For a class: its ``name``, ``requirements`` (lines of ``requirements.txt``; without them the
                packages that it imports, in the versions that are installed here), ``config``, ``files`` (paths, bytes
                or objects, by name), ``sample`` (a request), and the sections of ``cortex.yaml``: ``predictor``,
                ``compute``, ``autoscaling``, ``networking``, ``monitoring``, ``update_strategy``.
            wait: Wait until the deployment has ended. Else it goes on by itself once it has begun, and ``get`` tells
                how it goes; what has to be there before it begins (cluster, image) is waited for all the same.

        Raises:
            CortexError: Nothing was changed, or (with ``check``) an API failed; the message says why.
        """
        loaded = load_source(source, self._progress, strict=strict, of_class=of_class)
        cluster = ensure_cluster(self.cloud, self.environment, self._progress)
        self._read = KnownCluster(self.cloud, cluster)
        options = Options(force=force, rebuild=rebuild, waits=wait, message=message)
        deployer = Deployer(self.cloud, cluster, self._progress, options)
        results = deployer.deploy(loaded.config, loaded.files, loaded.dependencies)
        if wait:
            changed = {result.name for result in results if result.changed and not result.error}
            apis = [api for api in loaded.config.apis if api.name in changed]
            self._wait_for_replicas({api.name: api.autoscaling.min_replicas for api in apis})
        if check and (failed := next((result.error for result in results if result.error), None)):
            raise failed
        return results

    def plan_deployment(
        self,
        source: Config | Path | str | type,
        /,
        *,
        force: bool = False,
        rebuild: bool = False,
        strict: bool = False,
        wait: bool = True,
        **of_class: Unpack[ClassOptions],
    ) -> PlanReport:
        """Find out what ``deploy`` would do with the same arguments. Changes nothing.

        Args:
            source: A folder, a file, a configuration, or a class.
            force: Plan as if an update that runs were cancelled.
            rebuild: Plan as if images were built anew.
            strict: Refuse a project with files that look like secrets.
            wait: Plan as if the deployment were waited for.
            of_class: What is said of a class; see ``deploy``.

        Raises:
            CortexError: The plan cannot be made, or something stands in the way; the message says why.
        """
        loaded = load_source(source, self._progress, strict=strict, of_class=of_class)
        return plan_deployment(self.cloud, self.environment, loaded, Options(force, rebuild, wait))

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

    def wait(self, name: str, seconds: float = 900.0) -> ApiStatus:
        """Wait until an API or splitter is live, as after ``refresh``.

        Args:
            name: The API or splitter.
            seconds: How long at most.

        Returns:
            Its status then.

        Raises:
            NotDeployedError: There is none of that name.
            DeployError: It failed, or is not live in time.
        """
        deadline = time.monotonic() + seconds
        while (api := self.get(name)).status != LIVE:
            late = time.monotonic() > deadline
            if late or api.status.startswith(ERROR):
                reason = f": {api.reason}" if api.reason else ""
                still = f" after {seconds:g} s" if late else ""
                raise DeployError(f"{name} is {api.status}{still}{reason}", hint=f"see why with: cortex get {name}")
            time.sleep(WAITING_POLL_SECONDS)
        return api

    def report(self, name: str, *, detailed: bool = False) -> Report:
        """Report everything about one API or splitter: status, traffic, predictions, scaling.

        Args:
            name: The API or splitter.
            detailed: Whether an API's replicas are reported one by one, too, and the fields of its ``cortex.yaml`` as
                they are deployed.

        Raises:
            NotDeployedError: There is none of that name.
        """
        return self._known.reporter.one(name, detailed=detailed)

    def reports(self) -> Sequence[Report]:
        """Report status and traffic of everything that is deployed."""
        return self._known.reporter.all()

    def metrics(
        self,
        name: str,
        *,
        since: timedelta | datetime = DEFAULT_SINCE,
        until: datetime | None = None,
        period: timedelta | None = None,
        points: int = POINTS,
    ) -> Measurements:
        """Read what was measured of an API over time, or of each API of a traffic splitter.

        Args:
            name: The API or splitter.
            since: How far back, or from when; no further than to its creation.
            until: Until when, with a time zone; None for now.
            period: Time that one value stands for, in whole minutes; None chooses one that gives at most ``points``.
            points: Most values of a series, where no period is given.

        Returns:
            Series by name; ``to_frame()`` makes a pandas DataFrame of them.

        Raises:
            NotDeployedError: There is none of that name.
            CortexError: CloudWatch has no such period, nothing from so long ago, or nothing was there until then.
        """
        api = self.get(name)
        apis = [api]
        if api.kind == TRAFFIC_SPLITTER:
            apis = read_apis(self.cloud, self.cluster, [variant.name for variant in api.variants])
        return read_measurements(
            self.cloud, self.cluster, api, apis, since=since, until=until, period=period, points=points
        )

    def why(self, name: str) -> Diagnosis:
        """Find out what is wrong with an API or splitter, since when, why, and what to do next.

        Raises:
            NotDeployedError: There is none of that name, and nothing is left of one.
        """
        return why(self.cloud, self.cluster, name)

    def logs(
        self,
        name: str,
        *,
        following: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        tail: int | None = None,
        wanted: LogFilter = EVERYTHING,
        pause: Callable[[float], object] = time.sleep,
    ) -> Iterator[LogRecord]:
        """Read the log records of an API, oldest first.

        Args:
            name: The API.
            following: Go on with new records as they come, until the API is deleted. Not where it is not deployed, and
                only its records are still there (``why_not_deployed``).
            since: Only records from then on.
            until: Only records until then.
            tail: Of those that are there, only that many of the newest.
            wanted: Only records that it admits.
            pause: Waits between two looks, a number of seconds; an exception that it raises ends the iteration.

        Raises:
            NotDeployedError: There is no API of that name, and no record of one.
            CortexError: It is a traffic splitter, or no replica that is wanted has written anything.
        """
        group = names.log_group(self.cluster.name, name)
        try:
            stack = deletion.find(self.cloud, self.cluster, name)
        except NotDeployedError:
            if not log_groups.is_kept(self.cloud, self.cluster.name, name):
                raise
            return read(self.cloud, group, since, tail, until=until, wanted=wanted)
        if stack.name == names.splitter_stack(self.cluster.name, name):
            members = [f"cortex logs {variant.name}" for variant in self.get(name).variants]
            raise CortexError(
                f"{name} is a traffic splitter and has no replicas: its requests are in the logs of its APIs",
                hint=f"see them with: {', '.join(members)}",
            )
        if not following:
            return read(self.cloud, group, since, tail, until=until, wanted=wanted)

        def is_deployed() -> bool:
            return read_stack(self.cloud, stack.name) is not None

        return follow(self.cloud, group, since, tail, until=until, wanted=wanted, pause=pause, is_deployed=is_deployed)

    def why_not_deployed(self, name: str) -> str | None:
        """Say why an API is not deployed whose records are still there, as after a first deployment that failed.

        Returns:
            None where it is deployed, or nothing is left of it.
        """
        return deletion.why_not_deployed(self.cloud, self.cluster, name)

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
