"""Removes old images from a cluster's repository, but never one that a revision uses that is deployed, or was.

A lifecycle rule of ECR counts or dates images, and cannot know which are deployed: an API that was not deployed for
long would lose its image, and could not start a replica on another instance any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import all_services
from cortex_cdk.history.store import recorded_images
from cortex_cdk.stack_operations.stack import list_stacks
from cortex_cdk.synthesis.specs import ClusterResources

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

IMAGES_KEPT = 100
"""How many images a repository keeps beside those that are in use."""
IMAGES_A_CALL = 100
"""How many images BatchDeleteImage takes."""


def remove_old_images(cloud: Cloud, cluster: ClusterResources) -> int:
    """Remove all images but those that are in use, those that a roll-back may need, and the newest.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.

    Returns:
        How many were removed.
    """
    pages = cloud.ecr.get_paginator("describe_images").paginate(repositoryName=cluster.repository)
    images = sorted(
        (image for page in pages for image in page["imageDetails"]), key=lambda image: image["imagePushedAt"]
    )
    old = [image["imageDigest"] for image in images[:-IMAGES_KEPT]]
    if not old:
        return 0
    needed = {*_in_use(cloud, cluster.cluster), *recorded_images(cloud, cluster.bucket)}
    in_use = {image.partition("@")[2] for image in needed}
    unused = [digest for digest in old if digest not in in_use]
    for start in range(0, len(unused), IMAGES_A_CALL):
        batch = unused[start : start + IMAGES_A_CALL]
        unneeded: list[ImageIdentifierTypeDef] = [{"imageDigest": digest} for digest in batch]
        cloud.ecr.batch_delete_image(repositoryName=cluster.repository, imageIds=unneeded)
    return len(unused)


def _in_use(cloud: Cloud, cluster: str) -> Iterator[str]:
    """The images of all revisions: those that stacks name, and those that a service still runs or may go back to."""
    for stack in list_stacks(cloud, names.api_stack(cluster, "")):
        yield stack.parameters.get(names.Parameter.IMAGE, "")
    for service in all_services(cloud, cluster):
        for deployment in service["deployments"]:
            described = cloud.ecs.describe_task_definition(taskDefinition=deployment["taskDefinition"])
            yield from (container["image"] for container in described["taskDefinition"]["containerDefinitions"])
