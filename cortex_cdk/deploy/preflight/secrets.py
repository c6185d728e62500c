"""Whether the secrets that replicas get exist, and have the keys that are named."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_secrets(deployment: Deployment) -> Iterator[Finding]:
    """Say which secrets no replica could get. A replica without one of its secrets is not started by ECS."""
    for api in deployment.wanted.config.apis:
        for variable, reference in api.predictor.secret_references.items():
            found = deployment.wanted.secrets[reference]
            field = f"predictor.secrets.{variable}"
            if found.problem:
                yield Finding(api.name, f"{field}: {reference.words} {found.problem}", found.hint)
            elif found.unchecked:
                yield Finding(api.name, f"{field}: {reference.words} was not checked: {found.unchecked}", fatal=False)
