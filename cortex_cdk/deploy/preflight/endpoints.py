"""An endpoint leads to one API or splitter of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.deploy.listener_rules import EndpointTakenError
from cortex_cdk.errors import DeployError, Finding


def check_endpoints(deployment: Deployment) -> Iterator[Finding]:
    """Look whether every endpoint can get a rule in the cluster's listener."""
    refused = {**deployment.api_endpoints().refused, **deployment.splitter_endpoints().refused}
    for target in deployment.targets:
        if target.endpoint in refused:
            error = in_words(deployment, refused[target.endpoint])
            yield Finding(target.name, error.message, error.hint)


def in_words(deployment: Deployment, error: DeployError) -> DeployError:
    """The refusal of an endpoint, with the name of who has it where that is known."""
    if isinstance(error, EndpointTakenError):
        return EndpointTakenError(error.rule, deployment.holder_of(error.rule))
    return error
