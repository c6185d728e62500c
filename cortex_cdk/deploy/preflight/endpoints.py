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
        error = refused.get(target.endpoint)
        # Where an API and a splitter have one name, the endpoint follows from it: ``check_names`` says that.
        if error and _holder(deployment, error)[1] != target.name:
            error = name_holder(deployment, error)
            yield Finding(target.name, error.message, error.hint)


def name_holder(deployment: Deployment, error: DeployError) -> DeployError:
    """The refusal of an endpoint, with the name of who has it where that is known."""
    kind, name = _holder(deployment, error)
    return EndpointTakenError(error.rule, f"{kind} {name}") if name and isinstance(error, EndpointTakenError) else error


def _holder(deployment: Deployment, error: DeployError) -> tuple[str, str]:
    """Kind and name of who has the endpoint that is refused; empty where that is unknown."""
    found = deployment.holder_of(error.rule) if isinstance(error, EndpointTakenError) else None
    return found or ("", "")
