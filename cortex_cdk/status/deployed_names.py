"""Reads the names of what is deployed, for those who cannot wait: nothing of the configuration is loaded."""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.environment import load_environments
from cortex_cdk.stack_operations.stack import list_resource_stacks


def deployed_names(environment: str | None) -> list[str]:
    """List the APIs and traffic splitters of an environment. Starts nothing; asks once and gives up within seconds.

    Args:
        environment: Its name; None takes the default.

    Returns:
        Empty where nobody would answer.

    Raises:
        CloudError: There is no environment of that name.
    """
    where = load_environments().get(environment)
    cloud = where.connect_unless_stopped()
    if cloud is None:
        return []
    return [resource.name for resource, _ in list_resource_stacks(cloud, where.cluster)]


def instance_groups(environment: str | None) -> list[str]:
    """List the instance groups of an environment's cluster, under the same conditions as ``deployed_names``."""
    where = load_environments().get(environment)
    cloud = where.connect_unless_stopped()
    if cloud is None:
        return []
    described = cloud.ecs.describe_clusters(clusters=[names.ecs_cluster(where.cluster)])["clusters"]
    return [names.instance_group(where.cluster, provider) for one in described for provider in one["capacityProviders"]]
