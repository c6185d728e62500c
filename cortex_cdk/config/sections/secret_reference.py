"""References to secrets (``predictor.secrets``): which value a variable gets, never the value itself.

ECS puts the values into a container's environment when it starts ("Pass sensitive data to an Amazon ECS container" in
the Amazon ECS Developer Guide). A parameter has no keys there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# CreateSecret (Name) and PutParameter (Name).
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,1011}|/[A-Za-z0-9_./-]{1,1010}")
_SECRET_ARN = re.compile(
    r"(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,519})(?::(.*))?"
)
_PARAMETER_ARN = re.compile(r"arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_./-]{1,1010}")
_SSM = "ssm:"
# Secrets Manager adds this to a name to make an ARN.
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")
WORDS = (
    "the name of a secret, NAME:KEY for one key of a JSON secret, ssm:NAME for a parameter of Systems Manager, or the "
    "ARN of one of these"
)
_TEXT = {"type": "string", "minLength": 1}
JSON_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "properties": {"secret": _TEXT, "key": _TEXT},
            "required": ["secret"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"parameter": _TEXT},
            "required": ["parameter"],
            "additionalProperties": False,
        },
    ]
}
"""Of a reference, for editors."""


@dataclass(frozen=True)
class SecretReference:
    """A secret of Secrets Manager, a key of one, or a parameter of Systems Manager.

    Attributes:
        name: Its name, or its ARN.
        is_parameter: Whether it is a parameter of Systems Manager.
        key: The key of a JSON secret; empty for the whole value.
        stage: The staging label of the secret's version; empty for the current one.
        version: The id of the secret's version; empty for that of the staging label.
    """

    name: str
    is_parameter: bool = False
    key: str = ""
    stage: str = ""
    version: str = ""

    @classmethod
    def of(cls, value: Any) -> SecretReference:
        """Read a reference as users write it.

        Args:
            value: ``NAME``, ``NAME:KEY``, ``ssm:NAME``, an ARN as ECS takes it (``ARN``, ``ARN:KEY:STAGE:VERSION``), or
                a map: ``{secret: NAME, key: KEY}`` or ``{parameter: NAME}``.

        Raises:
            ValueError: The value is none of these.
        """
        if isinstance(value, Mapping):
            return _of_map(value)
        if not isinstance(value, str):
            raise ValueError("not a reference to a secret")
        if found := _SECRET_ARN.fullmatch(value):
            parts = (found[2] or "").split(":")
            if len(parts) > 3:
                raise ValueError("more than a key, a stage and a version")
            return cls(found[1], False, *parts)
        if _PARAMETER_ARN.fullmatch(value) or value.startswith(_SSM):
            return _parameter(value.removeprefix(_SSM))
        return _secret(*value.split(":", 1))

    def __str__(self) -> str:
        if self.is_parameter:
            return self.name if self.is_arn else f"{_SSM}{self.name}"
        if self.stage or self.version:
            return f"{self.name}:{self.key}:{self.stage}:{self.version}"
        return f"{self.name}:{self.key}" if self.key else self.name

    @property
    def is_arn(self) -> bool:
        """Whether the user gave an ARN, which may be one of another region or account."""
        return self.name.startswith("arn:")

    @property
    def is_complete(self) -> bool:
        """Whether the ARN can be written without asking: of a secret Secrets Manager chooses the end."""
        return self.is_parameter or (self.is_arn and bool(_SUFFIX.fullmatch(self.name[-7:])))

    @property
    def region(self) -> str:
        """The region of an ARN; empty for a name, which is one of the cluster's region."""
        return self.name.split(":")[3] if self.is_arn else ""

    @property
    def words(self) -> str:
        """The reference as part of a sentence."""
        return f"the {'parameter' if self.is_parameter else 'secret'} {self.name}"

    def value_from(self, arn: str) -> str:
        """Write the reference as ECS takes it (``ContainerDefinition.secrets.valueFrom``).

        Args:
            arn: The ARN of the secret or parameter.
        """
        tail = (self.key, self.stage, self.version)
        return ":".join((arn, *tail)) if any(tail) else arn


def _of_map(value: Mapping[Any, Any]) -> SecretReference:
    match dict(value):
        case {"parameter": str(name), **rest} if not rest:
            return _parameter(name)
        case {"secret": str(name), "key": str(key), **rest} if not rest and key:
            return _secret(name, key)
        case {"secret": str(name), **rest} if not rest:
            return _secret(name)
    raise ValueError("neither a secret nor a parameter")


def _parameter(name: str) -> SecretReference:
    if not _PARAMETER.fullmatch(name) and not _PARAMETER_ARN.fullmatch(name):
        raise ValueError("not the name of a parameter")
    return SecretReference(name, is_parameter=True)


def _secret(name: str, key: str | None = None) -> SecretReference:
    whole = _SECRET_ARN.fullmatch(name)
    if not (_SECRET.fullmatch(name) or (whole and whole[2] is None)) or key == "" or ":" in (key or ""):
        raise ValueError("not the name of a secret")
    return SecretReference(name, key=key or "")


def secret_name(arn: str) -> str:
    """The name of a secret or parameter, from its ARN, with or without what Secrets Manager adds to the name."""
    service, resource = arn.split(":")[2], arn.split(":", 5)[5]
    if service == "ssm":
        return resource.removeprefix("parameter")
    name = resource.removeprefix("secret:").split(":")[0]
    return name[:-7] if _SUFFIX.fullmatch(name[-7:]) else name
