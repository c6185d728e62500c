"""How one permission is written: actions, the resources that they are allowed on, and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cdk import names

CLUSTER = "{cluster}"
"""Stands for the cluster's name, in the patterns of ARNs."""
GENERATED = "{generated}"
"""Stands for the beginning of names that CloudFormation makes: see ``generated_prefix``."""
_STACK_PART_CHARACTERS = 24


@dataclass(frozen=True)
class Scope:
    """Resources that actions are allowed on.

    Attributes:
        name: The resources in a word, as the ``Sid`` of a statement: letters and digits only.
        arns: Patterns of ARNs, with ``{partition}``, ``{region}``, ``{account}``, ``{cluster}`` and ``{generated}``.
        conditions: The conditions of the statement, by operator; the values are such patterns, too.
    """

    name: str
    arns: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    def __hash__(self) -> int:
        return hash((self.name, self.arns))


@dataclass(frozen=True)
class Grant:
    """One permission.

    Attributes:
        why: Which command needs the actions, and for what.
        actions: Such as ``ecs:UpdateService``.
        scope: What they are allowed on.
        deploys: Whether deploying to a cluster needs them; else only making, changing and removing one does.
        is_implied: Whether nobody calls the actions: AWS asks for them when another one is called.
    """

    why: str
    actions: tuple[str, ...]
    scope: Scope
    deploys: bool = True
    is_implied: bool = False


def arn(service: str, resource: str, *, region: str = "{region}", account: str = "{account}") -> str:
    """Write the pattern of an ARN."""
    return f"arn:{{partition}}:{service}:{region}:{account}:{resource}"


def generated_prefix(cluster: str) -> str:
    """The beginning of the names that CloudFormation gives to what a cluster's stacks make, where names are short.

    CloudFormation writes the stack's name, the resource's and random characters, and cuts the first two where a service
    takes no more, such as the 64 characters of IAM. At least 24 characters of the stack's name are left there, as in
    ``amplify-amplifyvitereactt-amplifyAuthauthenticatedU-1A2B3C4D5E6F``. AWS documents no number ("Name type",
    CloudFormation User Guide).
    """
    return names.cluster_stack(cluster).removesuffix("cluster")[:_STACK_PART_CHARACTERS]


OWN = {"StringEquals": {f"aws:ResourceTag/{names.TAG_CLUSTER}": CLUSTER}}
"""The condition that a resource has the tag of the cluster."""
ANYTHING = Scope("ReadOnly", ("*",))
"""For actions that read, and that AWS allows on everything or nothing."""
