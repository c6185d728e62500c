"""What a new template changes about a stack, found without CloudFormation, so that a plan writes nothing. Pure.

    deployed template + parameters -> (``template_values``) -> resources
    new template + parameters      -> (``template_values``) -> resources    -> ``compare`` -> changes

A change set knows the same from CloudFormation itself, but making one is a write, and the first one of a stack leaves
an empty stack behind (docs/decisions/0052).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cdk.stack_operations.create_only import ALWAYS, NEVER, PERHAPS, replacement
from cortex_cdk.stack_operations.resource_words import in_words

ADD, MODIFY, REMOVE = "add", "modify", "remove"
STATEFUL = frozenset(
    {
        "AWS::AutoScaling::AutoScalingGroup",
        "AWS::CertificateManager::Certificate",
        "AWS::EC2::EIP",
        "AWS::EC2::NatGateway",
        "AWS::EC2::Subnet",
        "AWS::EC2::VPC",
        "AWS::ECR::Repository",
        "AWS::ECS::Cluster",
        "AWS::ECS::Service",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
        "AWS::Route53::RecordSet",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
    }
)
"""Resources that hold data, an address or the traffic: with another one in their place, that is lost or interrupted."""
GROUP = "AWS::AutoScaling::AutoScalingGroup"
"""Some of its properties replace the group, but only with an update policy that says so ("UpdatePolicy attribute",
AutoScalingReplacingUpdate, AWS CloudFormation User Guide)."""
_MOVING = frozenset({"LatestVersionNumber"})
"""Attributes that are others after a change in place: what refers to them changes, too."""


@dataclass(frozen=True)
class ResourceChange:
    """One resource that a new template changes.

    Attributes:
        action: ``add``, ``modify`` or ``remove``.
        logical_id: The resource's id in the template.
        resource_type: Such as ``AWS::ECS::Service``.
        replacement: Whether the resource is made anew (``yes``, ``perhaps``, ``no``).
        properties: Names of the properties that change; empty for a resource that is added or removed.
        is_kept: Whether the resource stays in the account when it goes from the stack.
    """

    action: str
    logical_id: str
    resource_type: str
    replacement: str = NEVER
    properties: tuple[str, ...] = ()
    is_kept: bool = False

    @property
    def what(self) -> str:
        """The resource in words, such as ``log group``."""
        return in_words(self.logical_id, self.resource_type)

    @property
    def loses_state(self) -> bool:
        """Whether data, an address or traffic may be lost."""
        goes = self.action == REMOVE or self.replacement != NEVER
        return goes and self.resource_type in STATEFUL and not self.is_kept

    def as_json(self) -> dict[str, Any]:
        """What a plan in JSON says of the resource."""
        return {
            "action": self.action,
            "what": self.what,
            "type": self.resource_type,
            "logical_id": self.logical_id,
            "replacement": self.replacement,
            "properties": list(self.properties),
            "loses_state": self.loses_state,
            "kept": self.is_kept,
        }


def compare(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> tuple[ResourceChange, ...]:
    """Compare the resources of a stack with those that a new template asks for.

    Args:
        before: Definitions by logical id, with the values of parameters (``template_values``).
        after: The same of the new template.

    Returns:
        The changes, in the order of the new template; then what is removed.
    """
    moved: dict[str, str] = {}
    # A resource may refer to one that comes later in the template: until nothing more follows from what is known.
    while True:
        found = [change for name in after if (change := _change(name, before.get(name), after[name], moved))]
        known = {change.logical_id: change.replacement for change in found if change.action == MODIFY}
        if known == moved:
            break
        moved = known
    return (*found, *(_removal(name, before[name]) for name in before if name not in after))


def _change(
    name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any], moved: Mapping[str, str]
) -> ResourceChange | None:
    kind = after["Type"]
    if before is None:
        return ResourceChange(ADD, name, kind)
    is_kept = before.get("UpdateReplacePolicy", "Delete") != "Delete"
    if before["Type"] != kind:
        return ResourceChange(MODIFY, name, kind, ALWAYS, ("Type",), is_kept)
    old, new = before.get("Properties", {}), after.get("Properties", {})
    names = {**old, **new}
    own = tuple(one for one in names if old.get(one) != new.get(one))
    followed = {one: verdict for one in new if one not in own and (verdict := _follows(new[one], moved))}
    changed = (*own, *followed)
    if not changed:
        return None
    verdict = _verdict(kind, old, new, followed)
    if verdict == PERHAPS and kind == GROUP and "AutoScalingReplacingUpdate" not in after.get("UpdatePolicy", {}):
        verdict = NEVER
    return ResourceChange(MODIFY, name, kind, verdict, changed, is_kept)


def _verdict(kind: str, old: Mapping[str, Any], new: Mapping[str, Any], followed: Mapping[str, str]) -> str:
    """Whether the resource is made anew, by what its template changes, and by what it refers to."""
    own = replacement(kind, old, new)
    without = {name: value for name, value in new.items() if name not in followed}
    by_reference = replacement(kind, new, without) if followed else NEVER
    if by_reference == ALWAYS and ALWAYS not in followed.values():
        by_reference = PERHAPS
    return next(verdict for verdict in (ALWAYS, PERHAPS, NEVER) if verdict in (own, by_reference))


def _follows(value: Any, moved: Mapping[str, str]) -> str | None:
    """Whether a value becomes another one because of resources that change: as certain as their replacement is."""
    verdicts = {moved[target] for target, attribute in _references(value) if _moves(moved, target, attribute)}
    if not verdicts:
        return None
    return ALWAYS if ALWAYS in verdicts else PERHAPS


def _moves(moved: Mapping[str, str], target: str, attribute: str) -> bool:
    if target not in moved:
        return False
    return moved[target] != NEVER or attribute in _MOVING


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the resources that a value refers to, with the attribute (empty for ``Ref``)."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for function, argument in value.items():
            if function == "Ref":
                yield argument, ""
            elif function == "Fn::GetAtt":
                target, _, attribute = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")
                yield target, attribute
            else:
                yield from _references(argument)


def _removal(name: str, before: Mapping[str, Any]) -> ResourceChange:
    is_kept = before.get("DeletionPolicy", "Delete") not in ("Delete", "Snapshot")
    return ResourceChange(REMOVE, name, before["Type"], is_kept=is_kept)
