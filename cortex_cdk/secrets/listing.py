"""Lists the secrets of a cluster, without their values: those made for it, and those that its APIs use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config.sections.secret_reference import SecretReference, secret_name
from cortex_cdk.secrets.usage import apis_by_secret, apis_that_use
from cortex_cdk.secrets.values import describe

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import DescribeSecretResponseTypeDef, SecretListEntryTypeDef


@dataclass(frozen=True)
class ListedSecret:
    """A secret, or a parameter that an API uses.

    Attributes:
        name: Its name.
        arn: Its ARN.
        kind: ``secret`` of Secrets Manager, or ``parameter`` of Systems Manager.
        changed: When its value was last changed; None where that is not known, as where it does not exist any more.
        used_by: The APIs of the cluster that use it.
    """

    name: str
    arn: str
    kind: str
    changed: datetime | None
    used_by: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What ``cortex secret list -o json`` prints of it."""
        changed = self.changed.isoformat() if self.changed else None
        return {"name": self.name, "kind": self.kind, "arn": self.arn, "changed": changed, "used_by": self.used_by}


def list_secrets(cloud: Cloud, cluster: str) -> tuple[ListedSecret, ...]:
    """List the secrets of a cluster by name. Those that are being deleted are left out, unless an API uses them.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
    """
    usage = apis_by_secret(cloud, cluster)
    found = {secret["ARN"]: _listed(secret, usage) for secret in _tagged(cloud, cluster)}
    for reference, apis in usage.items():
        if reference.is_parameter:
            found[reference.name] = _parameter(cloud, reference.name, apis)
            continue
        if reference.name in found:
            continue
        secret = describe(cloud, reference.name) if reference.region == cloud.region else None
        if secret:
            found[secret["ARN"]] = _listed(secret, usage)
        else:
            found[reference.name] = ListedSecret(secret_name(reference.name), reference.name, "secret", None, apis)
    return tuple(sorted(found.values(), key=lambda secret: (secret.name, secret.arn)))


def uses(cloud: Cloud, cluster: str, name: str) -> tuple[str, ...]:
    """The APIs of a cluster that use a secret."""
    known = describe(cloud, name)
    return apis_that_use(apis_by_secret(cloud, cluster), known["ARN"]) if known else ()


def _tagged(cloud: Cloud, cluster: str) -> Iterator[SecretListEntryTypeDef]:
    pages = cloud.secretsmanager.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "tag-key", "Values": [names.TAG_CLUSTER]}, {"Key": "tag-value", "Values": [cluster]}]
    )
    for page in pages:
        for secret in page["SecretList"]:
            # The filters look for a beginning, and each by itself.
            if {"Key": names.TAG_CLUSTER, "Value": cluster} in secret.get("Tags", []) and not secret.get("DeletedDate"):
                yield secret


def _listed(
    secret: SecretListEntryTypeDef | DescribeSecretResponseTypeDef, usage: Mapping[SecretReference, tuple[str, ...]]
) -> ListedSecret:
    changed = secret.get("LastChangedDate") or secret.get("CreatedDate")
    return ListedSecret(secret["Name"], secret["ARN"], "secret", changed, apis_that_use(usage, secret["ARN"]))


def _parameter(cloud: Cloud, arn: str, apis: tuple[str, ...]) -> ListedSecret:
    name = secret_name(arn)
    # A name without folders has no slash at its beginning, and its ARN does not tell.
    names_of = [name, name.removeprefix("/")] if name.count("/") == 1 else [name]
    found = cloud.ssm.get_parameters(Names=names_of)["Parameters"]
    known = next((one for one in found if one["ARN"] == arn), None)
    changed = known["LastModifiedDate"] if known else None
    return ListedSecret(known["Name"] if known else name, arn, "parameter", changed, apis)
