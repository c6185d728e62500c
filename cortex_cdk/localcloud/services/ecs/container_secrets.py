"""Reads the values of a container's ``secrets`` when its task starts, as the ECS agent does.

The forms of ``valueFrom`` are in "Pass Secrets Manager secrets through Amazon ECS environment variables" and "Pass
Systems Manager parameters ..." of the Amazon ECS Developer Guide, the messages under "Stopped tasks error messages".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cortex_cdk.localcloud.containers.launch import CannotStartError
from cortex_cdk.localcloud.services.iam.callers import session_of
from cortex_cdk.localcloud.services.iam.decision import Access, Principal, refusal
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

FAILED = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
FROM_SECRETS_MANAGER = f"{FAILED}unable to retrieve secret from asm: service call has been retried 1 time(s): "
FROM_PARAMETERS = f"{FAILED}unable to retrieve secrets from ssm: service call has been retried 1 time(s): "
DENIED = "AccessDeniedException: "
NOT_FOUND = "ResourceNotFoundException: Secrets Manager can't find the specified secret."


def read_secrets(container: Mapping[str, Any], execution_role: str | None, task_id: str) -> dict[str, str]:
    """Read the values of a container's secrets, by variable.

    Args:
        container: The container definition, as registered.
        execution_role: The ARN of the task's execution role, which has to allow that.
        task_id: The id of the task.

    Raises:
        CannotStartError: A secret, a parameter or a key does not exist, or the role may not read it.
    """
    secrets = container.get("secrets") or []
    if not secrets:
        return {}
    if execution_role is None:
        raise CannotStartError(f"{FAILED}the task definition has no execution role")
    agent = session_of(execution_role, task_id)
    return {secret["name"]: _value(secret["valueFrom"], agent) for secret in secrets}


def _value(value_from: str, agent: Principal) -> str:
    parts = value_from.split(":")
    if parts[0] == "arn" and parts[2] == "secretsmanager":
        return _of_secret(value_from, parts, agent)
    return _of_parameter(value_from, parts, agent)


def _of_secret(value_from: str, parts: list[str], agent: Principal) -> str:
    # arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME, then nothing or :KEY:STAGE:VERSION.
    if len(parts) not in (7, 10):
        raise CannotStartError(f"{FROM_SECRETS_MANAGER}unexpected ARN format with parameters: {value_from}")
    arn, (key, stage, version) = ":".join(parts[:7]), parts[7:] or ("", "", "")
    text = _secret_string(arn, stage, version, agent)
    if not key:
        return text
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        said = "retrieved secret from Secrets Manager is not a JSON object"
        raise CannotStartError(f"{FROM_SECRETS_MANAGER}{said}: {arn}")
    if key not in content:
        said = f"retrieved secret from Secrets Manager did not contain json key {key}"
        raise CannotStartError(f"{FROM_SECRETS_MANAGER}{said}")
    return _as_go_writes(content[key])


def _secret_string(arn: str, stage: str, version: str, agent: Principal) -> str:
    # Few accounts have secrets. The others need not load moto's module.
    from moto.core.exceptions import JsonRESTError
    from moto.secretsmanager.models import secretsmanager_backends

    failed = f"{FROM_SECRETS_MANAGER}failed to fetch secret {arn} from secrets manager: "
    if not _is_here(arn):
        raise CannotStartError(f"{failed}{NOT_FOUND}")
    backend: Any = secretsmanager_backends[ACCOUNT_ID][REGION]
    whole = backend.secrets[arn].arn if arn in backend.secrets else arn
    if denied := refusal(agent, Access("secretsmanager:GetSecretValue", whole)):
        raise CannotStartError(f"{failed}{DENIED}{denied}")
    try:
        answer = backend.get_secret_value(arn, version or None, stage or None)
    except JsonRESTError as error:
        raise CannotStartError(f"{failed}{error.error_type}: {error.message}") from error
    text = answer.get("SecretString")
    if text is None:
        raise CannotStartError(f"{failed}the secret has a binary value, and the agent reads text")
    return str(text)


def _of_parameter(value_from: str, parts: list[str], agent: Principal) -> str:
    from moto.ssm.models import ssm_backends

    backend: Any = ssm_backends[ACCOUNT_ID][REGION]
    names = [value_from]
    if parts[0] == "arn":
        name = parts[5].removeprefix("parameter/")
        names = [f"/{name}", name] if _is_here(value_from) else []
    found = next(filter(None, map(backend.get_parameter, names)), None)
    if found is None:
        raise CannotStartError(f"{FROM_PARAMETERS}invalid parameters: {value_from}")
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT_ID}:parameter/{found.name.removeprefix('/')}"
    if denied := refusal(agent, Access("ssm:GetParameters", arn)):
        raise CannotStartError(f"{FROM_PARAMETERS}{DENIED}{denied}")
    return str(found.decrypt(found.value))


def _is_here(arn: str) -> bool:
    """Whether an ARN is one of this cloud's only region and account."""
    return arn.split(":")[3:5] == [REGION, ACCOUNT_ID]


def _as_go_writes(value: Any) -> str:
    """Write a value of JSON as the agent does, by Go's ``%v``, to which every number is a float64."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _float_as_go_writes(float(value))
    return "<nil>" if value is None else json.dumps(value)


def _float_as_go_writes(number: float) -> str:
    """Go's ``strconv.FormatFloat(number, 'g', -1, 64)``: the fewest digits, with an exponent from a million on."""
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    if not isinstance(exponent, int):
        return str(number)
    point = len(digits) + exponent
    if -4 < point <= 6:
        text = format(Decimal(repr(number)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    written = "".join(map(str, digits))
    mantissa = written[0] + (f".{written[1:]}" if written[1:] else "")
    return f"{'-' * sign}{mantissa}e{point - 1:+03d}"
