"""Whether the user's own images exist, as far as ECR tells."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_images(deployment: Deployment) -> Iterator[Finding]:
    """Look whether every ``predictor.image`` was found. Images of other registries are left to ECS."""
    for api in deployment.wanted.config.apis:
        if api.predictor.image and deployment.wanted.images[api.name] is None:
            yield Finding(
                api.name,
                f"predictor.image {api.predictor.image} does not exist",
                "push it, correct its name, or leave predictor.image out: an image is built from requirements.txt then",
            )
