"""Remembers where APIs answer, so that many predictions ask AWS once."""

from __future__ import annotations

import time

from cortex_cdk.aws.certificates import certificate_of
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.predict.route import Route
from cortex_cdk.status.read_status import get_api

GOOD_SECONDS = 60.0
"""How long a route is taken for right, whatever others do to the API meanwhile."""


class Routes:
    """The routes of a cluster's APIs. May be used by several threads at once.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._known: dict[str, tuple[float, Route | None]] = {}

    def of(self, name: str) -> Route:
        """Return the route to an API or splitter.

        Raises:
            NotDeployedError: There is none of that name.
            UnavailableError: It has no replica that serves.
        """
        route = self.known(name)
        if route is None:
            route = self._read(name).checked()
            self._known[name] = time.monotonic() + GOOD_SECONDS, route
        return route

    def known(self, name: str) -> Route | None:
        """Return a route that needs not be read."""
        until, route = self._known.get(name, (0.0, None))
        return None if time.monotonic() > until else route

    def forget(self, name: str) -> None:
        """Read the route anew next time."""
        self._known.pop(name, None)

    def _read(self, name: str) -> Route:
        api, certificate = get_api(self._cloud, self._cluster, name), None
        if api.endpoint.startswith("https://"):
            certificate = certificate_of(self._cloud, self._cluster.resources.listener_arn)
        return Route(api, certificate, self._cluster.address)
