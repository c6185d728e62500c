"""Reads which APIs of a cluster use which secrets: from the task definitions that their services run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import all_services
from cortex_cdk.aws.errors import error_code
from cortex_cdk.config.sections.secret_reference import SecretReference

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef


def apis_by_secret(cloud: Cloud, cluster: str) -> dict[SecretReference, tuple[str, ...]]:
    """Read which APIs use which secrets and parameters. While an API is updated, both of its revisions count.

    Costs a call for ten APIs, and one for each task definition.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster, which need not exist.

    Returns:
        The APIs, sorted, by what they use; whole secrets, without keys, known by their ARNs.
    """
    found: defaultdict[SecretReference, set[str]] = defaultdict(set)
    for service in _services(cloud, cluster):
        definitions = {service["taskDefinition"], *(one["taskDefinition"] for one in service["deployments"])}
        for definition in definitions:
            for reference in _references(cloud, definition):
                found[reference].add(service["serviceName"])
    return {reference: tuple(sorted(apis)) for reference, apis in found.items()}


def apis_that_use(usage: Mapping[SecretReference, tuple[str, ...]], arn: str) -> tuple[str, ...]:
    """Pick the APIs that use a secret.

    Args:
        usage: What ``apis_by_secret`` returned.
        arn: The secret's ARN.
    """
    by_name = arn[: -len("-abcdef")]
    found = {api for used, apis in usage.items() if used.name in (arn, by_name) for api in apis}
    return tuple(sorted(found))


def _services(cloud: Cloud, cluster: str) -> Iterator[ServiceTypeDef]:
    from botocore.exceptions import ClientError

    try:
        yield from all_services(cloud, cluster)
    except ClientError as error:
        if error_code(error) != "ClusterNotFoundException":
            raise


def _references(cloud: Cloud, task_definition: str) -> Iterator[SecretReference]:
    described = cloud.ecs.describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    for container in described["containerDefinitions"]:
        for secret in container.get("secrets", []):
            try:
                reference = SecretReference.of(secret["valueFrom"])
            except ValueError:
                # Whoever else runs services on the cluster may write what ECS takes and we do not.
                continue
            yield SecretReference(reference.name, reference.is_parameter)
