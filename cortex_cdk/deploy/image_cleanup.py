"""Removes old images from a cluster's repository, but never one that a deployed revision uses.

A lifecycle rule of ECR counts or dates images, and cannot know which are deployed: an API that was not deployed for
long would lose its image, and could not start a replica on another instance any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import all_services
from cortex_cdk.stack_operations.stack import list_stacks

IMAGES_KEPT = 100
"""How many images a repository keeps beside those that are in use."""
IMAGES_A_CALL = 100
"""How many images BatchDeleteImage takes."""


def remove_old_images(cloud: Cloud, cluster: str, repository: str) -> int:
    """Remove all images but those that are in use and the newest.

    Args:
        cluster: The environment's cluster.
        repository: Its ECR repository.

    Returns:
        How many were removed.
    """
    pages = cloud.ecr.get_paginator("describe_images").paginate(repositoryName=repository)
    images = sorted(
        (image for page in pages for image in page["imageDetails"]), key=lambda image: image["imagePushedAt"]
    )
    old = [image["imageDigest"] for image in images[:-IMAGES_KEPT]]
    if not old:
        return 0
    in_use = {image.partition("@")[2] for image in _in_use(cloud, cluster)}
    unused = [digest for digest in old if digest not in in_use]
    for start in range(0, len(unused), IMAGES_A_CALL):
        batch = unused[start : start + IMAGES_A_CALL]
        cloud.ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest} for digest in batch])
    return len(unused)


def _in_use(cloud: Cloud, cluster: str) -> Iterator[str]:
    """The images of all revisions: those that stacks name, and those that a service still runs or may go back to."""
    for stack in list_stacks(cloud, names.api_stack(cluster, "")):
        yield stack.parameters.get(names.Parameter.IMAGE, "")
    for service in all_services(cloud, cluster):
        for deployment in service["deployments"]:
            described = cloud.ecs.describe_task_definition(taskDefinition=deployment["taskDefinition"])
            yield from (container["image"] for container in described["taskDefinition"]["containerDefinitions"])
