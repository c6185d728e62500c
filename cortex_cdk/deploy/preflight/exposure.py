"""Whether strangers can send requests to the APIs, and read those of others."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_exposure(deployment: Deployment) -> Iterator[Finding]:
    """Warn about a cluster that is open to everybody, and about the APIs that are."""
    open_apis = [api.name for api in deployment.wanted.config.apis if api.networking.auth.kind == "none"]
    for danger in deployment.cluster.dangers(open_apis):
        yield Finding(f"cluster {deployment.cluster.name}", danger, fatal=False)
