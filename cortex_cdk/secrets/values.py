"""Sets and deletes secrets of Secrets Manager for people. Values come from the caller, and go to nobody else."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.config.sections.secret_reference import SecretReference
from cortex_cdk.errors import CortexError, WrongCallError
from cortex_cdk.secrets.lookup import MISSING

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import DescribeSecretResponseTypeDef

MOST_BYTES = 65_536
"""Of a secret's value (quotas of Secrets Manager)."""


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a secret.

    Raises:
        CortexError: It is an ARN, a parameter, or has characters that no name has.
    """
    try:
        reference = SecretReference.of(name)
    except ValueError:
        reference = None
    if reference is None or reference.is_parameter or reference.is_arn or reference.key:
        hint = "a name has letters, digits and / _ + = . @ -"
        if reference and reference.is_parameter:
            hint = "set a parameter with: aws ssm put-parameter --type SecureString --overwrite"
        elif reference and reference.key:
            hint = f"give a key with: cortex secret set {reference.name} --key {reference.key}"
        raise WrongCallError(f"{name!r} is not the name of a secret", hint=hint)


def set_value(cloud: Cloud, cluster: str, name: str, value: str, key: str | None = None) -> bool:
    """Give a secret a new value, which becomes its current version; a new secret is made.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster, which a new secret is tagged with.
        name: The secret's name.
        value: The value.
        key: Sets only this key of a JSON object.

    Returns:
        Whether the secret is new.

    Raises:
        CortexError: The name or the value cannot be one, or the secret has no keys.
    """
    check_name(name)
    known = describe(cloud, name)
    if known and known.get("DeletedDate"):
        cloud.secretsmanager.restore_secret(SecretId=name)
    whole = value if key is None else _with_key(_current(cloud, known), name, key, value)
    _check_value(name, value, whole)
    if known:
        cloud.secretsmanager.put_secret_value(SecretId=name, SecretString=whole)
        return False
    cloud.secretsmanager.create_secret(
        Name=name, SecretString=whole, Tags=[{"Key": names.TAG_CLUSTER, "Value": cluster}]
    )
    return True


def schedule_deletion(cloud: Cloud, name: str) -> datetime:
    """Let a secret be deleted after the recovery window, in which it can be brought back.

    Returns:
        When it will be gone.

    Raises:
        CortexError: There is no such secret.
    """
    check_name(name)
    known = describe(cloud, name)
    if known is None or known.get("DeletedDate"):
        raise missing(name)
    return cloud.secretsmanager.delete_secret(SecretId=name)["DeletionDate"]


def missing(name: str) -> CortexError:
    """Say that there is no secret of a name."""
    return CortexError(f"there is no secret {name}", hint="see what there is with: cortex secret list")


def describe(cloud: Cloud, name: str) -> DescribeSecretResponseTypeDef | None:
    """Read what is known of a secret, without its value; None where there is none."""
    from botocore.exceptions import ClientError

    try:
        return cloud.secretsmanager.describe_secret(SecretId=name)
    except ClientError as error:
        if error_code(error) in MISSING:
            return None
        raise


def _current(cloud: Cloud, known: DescribeSecretResponseTypeDef | None) -> str:
    if not known or not known.get("VersionIdsToStages"):
        return "{}"
    return cloud.secretsmanager.get_secret_value(SecretId=known["ARN"]).get("SecretString", "")


def _with_key(current: str, name: str, key: str, value: str) -> str:
    try:
        found = json.loads(current)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CortexError(
            f"the secret {name} has no keys: its value is not a JSON object",
            hint=f"set its whole value with: cortex secret set {name}",
        )
    if not key or ":" in key:
        raise WrongCallError(f"{key!r} is not a key that ECS can read: it must have a character, and no colon")
    return json.dumps({**found, key: value})


def _check_value(name: str, value: str, whole: str) -> None:
    if not value:
        raise CortexError(f"the value for {name} is empty", hint=f"pipe it in: cortex secret set {name} < FILE")
    if "\0" in value:
        raise CortexError(f"the value for {name} has a zero byte, and no environment variable can")
    size = len(whole.encode())
    if size > MOST_BYTES:
        raise CortexError(f"the value for {name} takes {size:,} bytes, and Secrets Manager takes {MOST_BYTES:,}")
