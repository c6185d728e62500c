"""Looks for the secrets that a configuration names, before anything is created."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.denials import denial_of
from cortex_cdk.aws.errors import error_code, error_message
from cortex_cdk.config.sections.secret_reference import SecretReference

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

MISSING = frozenset({"ResourceNotFoundException", "ParameterNotFound"})
CURRENT = "AWSCURRENT"
"""The staging label of a secret's current version."""


@dataclass(frozen=True)
class Found:
    """What is known of a secret that a configuration names.

    Attributes:
        arn: Its ARN; empty where it is not known.
        problem: Why no replica could get its value, completing "the secret ..."; empty where one can.
        hint: What to do about that.
        unchecked: Why it could not be looked for; empty where it could.
    """

    arn: str = ""
    problem: str = ""
    hint: str | None = None
    unchecked: str = ""


def look_up(cloud: Cloud, references: Iterable[SecretReference]) -> dict[SecretReference, Found]:
    """Look for secrets and parameters. Costs a call for each, and one more for each key.

    The value of a secret is read only where a key of it is named: nothing else tells whether there is the key. What is
    in another region, or what the credentials may not read, is left to the replicas, which have another role.

    Args:
        cloud: A session of the environment.
        references: What to look for.
    """
    return {reference: _look_for(cloud, reference) for reference in dict.fromkeys(references)}


def _look_for(cloud: Cloud, reference: SecretReference) -> Found:
    from botocore.exceptions import ClientError

    if reference.region not in ("", cloud.region):
        return Found(reference.name)
    try:
        return _parameter(cloud, reference) if reference.is_parameter else _secret(cloud, reference)
    except ClientError as error:
        if error_code(error) in MISSING:
            return Found(problem="does not exist", hint=_hint_to_make(reference))
        if denial_of(error):
            return Found(unchecked=error_message(error))
        return Found(unchecked=f"{error.operation_name} answered {error_code(error)}: {error_message(error)}")


def _hint_to_make(reference: SecretReference) -> str:
    if reference.is_arn:
        return "correct the ARN, or name a secret of this account: cortex secret list"
    if reference.is_parameter:
        return f"make it with: aws ssm put-parameter --type SecureString --name {reference.name} --value VALUE"
    return f"make it with: {command_to_set(reference)}"


def command_to_set(reference: SecretReference) -> str:
    """The command that sets the value of a secret."""
    return f"cortex secret set {reference.name}{f' --key {reference.key}' if reference.key else ''}"


def _parameter(cloud: Cloud, reference: SecretReference) -> Found:
    # Not decrypted: only whether it exists is asked.
    answer = cloud.ssm.get_parameters(Names=[reference.name], WithDecryption=False)
    if not answer["Parameters"]:
        return Found(problem="does not exist", hint=_hint_to_make(reference))
    return Found(answer["Parameters"][0]["ARN"])


def _secret(cloud: Cloud, reference: SecretReference) -> Found:
    described = cloud.secretsmanager.describe_secret(SecretId=reference.name)
    arn = described["ARN"]
    if described.get("DeletedDate"):
        hint = f"bring it back with: aws secretsmanager restore-secret --secret-id {reference.name}"
        return Found(arn, "is being deleted", hint)
    versions = described.get("VersionIdsToStages", {})
    stage = reference.stage or CURRENT
    if reference.version and reference.version not in versions:
        return Found(arn, f"has no version {reference.version}", "name another version, or none for the current one")
    if not reference.version and not any(stage in stages for stages in versions.values()):
        hint = f"set it with: {command_to_set(reference)}"
        return Found(arn, "has no value" if stage == CURRENT else f"has no version with the label {stage}", hint)
    return _with_key(cloud, reference, arn) if reference.key else Found(arn)


def _with_key(cloud: Cloud, reference: SecretReference, arn: str) -> Found:
    """Look for the key of a JSON secret."""
    from botocore.exceptions import ClientError

    chosen = {"VersionStage": reference.stage, "VersionId": reference.version}
    try:
        given = {name: value for name, value in chosen.items() if value}
        answer = cloud.secretsmanager.get_secret_value(SecretId=reference.name, **given)
    except ClientError as error:
        if not denial_of(error):
            raise
        return Found(arn, unchecked=_unread_key(reference, error))
    keys = keys_of(answer.get("SecretString"))
    if keys is None:
        hint = f"name no key, or make it one: {command_to_set(reference)}"
        return Found(arn, f"has no key {reference.key}: its value is not a JSON object", hint)
    if reference.key not in keys:
        known = f"its keys are {', '.join(sorted(keys))}" if keys else "it has none"
        return Found(arn, f"has no key {reference.key}: {known}", f"set it with: {command_to_set(reference)}")
    return Found(arn)


def _unread_key(reference: SecretReference, error: ClientError) -> str:
    return f"its key {reference.key} was not looked for: {error_message(error)}"


def keys_of(value: str | None) -> frozenset[str] | None:
    """The keys of a JSON object; None where the text is none."""
    try:
        found = json.loads(value or "")
    except (ValueError, RecursionError):
        return None
    return frozenset(found) if isinstance(found, dict) else None
