"""Whether strangers can reach the cluster's APIs, and read along."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_exposure(deployment: Deployment) -> Iterator[Finding]:
    """Warn once about a cluster that is open to everybody."""
    exposure = deployment.cluster.exposure
    if exposure:
        yield Finding(f"cluster {deployment.cluster.name}", exposure, fatal=False)
