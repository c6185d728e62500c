"""What a new template opens or closes: permissions of roles, who may use resources, ways through the network. Pure.

Each is taken apart into its smallest grants ("allow s3:GetObject on X to Y"), so that only what is really new is named.
Sources: "IAM JSON policy elements" of the IAM user guide, and the resource types' properties in CloudFormation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from cortex_cdk.stack_operations.resource_words import in_words

PERMISSION, TRUST, NETWORK = "permission", "trust", "network"
PUBLIC = ("0.0.0.0/0", "::/0")
_ALLOWED = re.compile(r"^(?:allow|deny) (\S+)(?: on (.+?))?( to .*)$")
_CIDR = re.compile(r"([0-9a-f.:]+/[0-9]+)(?: \(everybody\))?")


@dataclass(frozen=True, order=True)
class Grant:
    """One thing that somebody may do.

    Attributes:
        kind: ``permission`` (an action of IAM), ``trust`` (who may take a role) or ``network`` (a way in or out).
        text: The grant in words.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class AccessChange:
    """A grant that is new, or goes.

    Attributes:
        widens: Whether more is possible than before.
        grant: What.
    """

    widens: bool
    grant: Grant

    def as_json(self) -> dict[str, Any]:
        """What a plan in JSON says of the grant."""
        return {"widens": self.widens, "kind": self.grant.kind, "what": self.grant.text}


def access_changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> tuple[AccessChange, ...]:
    """Compare what two templates allow.

    Args:
        before: Definitions of resources by logical id, with the values of parameters (``template_values``).
        after: The same of the new template.

    Returns:
        What widens, then what narrows, each in alphabetical order. A denial that goes counts as widening.
    """
    old, new = _grants(before), _grants(after)
    added = [AccessChange(not one[2], Grant(*one[:2])) for one in new - old if not _is_covered(one, old)]
    removed = [
        AccessChange(one[2], Grant(one[0], f"no longer: {one[1]}")) for one in old - new if not _is_covered(one, new)
    ]
    return tuple(sorted([*added, *removed], key=lambda change: (not change.widens, change.grant)))


def _grants(resources: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str, bool]]:
    """Every grant of a template: its kind, its text, and whether it is a denial."""
    found: set[tuple[str, str, bool]] = set()
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        what = in_words(name, kind)
        found.update((PERMISSION, *one) for one in _permissions(kind, what, properties))
        found.update((NETWORK, text, False) for text in _network(kind, what, properties))
        if kind == "AWS::IAM::Role":
            trust = properties.get("AssumeRolePolicyDocument", {})
            found.update((TRUST, *one) for one in _statements(trust, f"the {what}"))
    return found


def _is_covered(grant: tuple[str, str, bool], others: Iterable[tuple[str, str, bool]]) -> bool:
    """Whether a grant says no more than another one: an action under a wildcard, a network inside of a larger one."""
    kind, text, denies = grant
    return any(
        (kind, denies) == (other_kind, other_denies) and (_covers_network if kind == NETWORK else _covers)(other, text)
        for other_kind, other, other_denies in others
    )


def _covers(larger: str, smaller: str) -> bool:
    found, inner = _ALLOWED.match(larger), _ALLOWED.match(smaller)
    if not found or not inner or found[3] != inner[3]:
        return False
    return all(fnmatchcase(inner[part] or "", found[part] or "") for part in (1, 2))


def _covers_network(larger: str, smaller: str) -> bool:
    found, inner = _CIDR.search(larger), _CIDR.search(smaller)
    if not found or not inner or _CIDR.sub("", larger) != _CIDR.sub("", smaller):
        return False
    outside, inside = ip_network(found[1], strict=False), ip_network(inner[1], strict=False)
    if isinstance(outside, IPv4Network) and isinstance(inside, IPv4Network):
        return outside.supernet_of(inside)
    return isinstance(outside, IPv6Network) and isinstance(inside, IPv6Network) and outside.supernet_of(inside)


def _permissions(kind: str, what: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    if kind == "AWS::IAM::Role":
        for arn in properties.get("ManagedPolicyArns", []):
            yield f"allow all of policy {_shown(arn)} to the {what}", False
        boundary = properties.get("PermissionsBoundary")
        if boundary:
            yield f"bound the {what} by {_shown(boundary)}", True
        for policy in properties.get("Policies", []):
            yield from _statements(policy.get("PolicyDocument", {}), f"the {what}")
    elif kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        holders = " and ".join(_shown(role) for role in properties.get("Roles", [])) or what
        yield from _statements(properties.get("PolicyDocument", {}), holders)
    else:
        for name in ("PolicyDocument", "RepositoryPolicyText", "KeyPolicy", "ResourcePolicy"):
            if isinstance(properties.get(name), dict):
                yield from _statements(properties[name], f"the {what}")


def _statements(document: Mapping[str, Any], holder: str) -> Iterator[tuple[str, bool]]:
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        denies = statement.get("Effect") == "Deny"
        verb = "deny" if denies else "allow"
        only = f" if {json.dumps(_plain(statement['Condition']), sort_keys=True)}" if statement.get("Condition") else ""
        who = _principals(statement)
        everything_but = "every action but " if "NotAction" in statement else ""
        for action in _list(statement.get("Action", statement.get("NotAction", "*"))):
            for resource in _list(statement.get("Resource", statement.get("NotResource", ""))):
                on = f" on {_shown(resource)}" if resource else ""
                to = f" to {who} ({holder})" if who else f" to {holder}"
                yield f"{verb} {everything_but}{_shown(action)}{on}{to}{only}", denies


def _principals(statement: Mapping[str, Any]) -> str:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal is None:
        return ""
    named = (
        principal
        if isinstance(principal, str)
        else ", ".join(_shown(one) for values in principal.values() for one in _list(values))
    )
    if named == "*":
        return "everybody"
    return f"everybody but {named}" if "NotPrincipal" in statement else named


def _network(kind: str, what: str, properties: Mapping[str, Any]) -> Iterator[str]:
    if kind == "AWS::EC2::SecurityGroup":
        for rule in properties.get("SecurityGroupIngress", []):
            yield f"{_ports(rule)} from {_peer(rule)} into the {what}"
        for rule in properties.get("SecurityGroupEgress", []):
            yield f"{_ports(rule)} to {_peer(rule)} out of the {what}"
    elif kind == "AWS::EC2::SecurityGroupIngress":
        yield f"{_ports(properties)} from {_peer(properties)} into {_shown(properties.get('GroupId', what))}"
    elif kind == "AWS::EC2::SecurityGroupEgress":
        yield f"{_ports(properties)} to {_peer(properties)} out of {_shown(properties.get('GroupId', what))}"
    elif kind == "AWS::ElasticLoadBalancingV2::LoadBalancer":
        if properties.get("Scheme", "internet-facing") == "internet-facing":
            yield f"the {what} has public addresses"
    elif kind == "AWS::EC2::LaunchTemplate":
        interfaces = properties.get("LaunchTemplateData", {}).get("NetworkInterfaces", [])
        if any(interface.get("AssociatePublicIpAddress") for interface in interfaces):
            yield f"instances of the {what} have public addresses"
    elif kind == "AWS::S3::Bucket":
        block = properties.get("PublicAccessBlockConfiguration", {})
        if not block or not all(block.values()):
            yield f"the {what} may be made public"


def _ports(rule: Mapping[str, Any]) -> str:
    protocol = str(rule.get("IpProtocol", "-1"))
    if protocol == "-1":
        return "all traffic"
    first, last = rule.get("FromPort"), rule.get("ToPort")
    ports = f"{first}" if first == last else f"{first} to {last}"
    return f"{protocol.upper()} {ports}"


def _peer(rule: Mapping[str, Any]) -> str:
    for name in ("CidrIp", "CidrIpv6"):
        if rule.get(name) in PUBLIC:
            return f"{rule[name]} (everybody)"
        if name in rule:
            return _shown(rule[name])
    groups = ("SourceSecurityGroupId", "DestinationSecurityGroupId", "SourcePrefixListId", "DestinationPrefixListId")
    return next((_shown(rule[name]) for name in groups if name in rule), "nobody")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _shown(value: Any) -> str:
    """A value of a template in words: a reference as the name of its resource."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((function, argument),) = value.items()
        return _called(function, argument)
    return {name: _plain(item) for name, item in value.items()}


def _called(function: str, argument: Any) -> Any:
    """The value of a function of CloudFormation in words; of anything else with one key, that."""
    if function == "Ref":
        return _named(argument)
    if function == "Fn::GetAtt":
        return _named(argument.partition(".")[0] if isinstance(argument, str) else argument[0])
    if function == "Fn::Sub":
        return argument if isinstance(argument, str) else argument[0]
    if function == "Fn::Join":
        return argument[0].join(map(_shown, argument[1]))
    return {function: _plain(argument)}


def _named(logical_id: str) -> str:
    """A pseudo parameter as it is written in policies, a resource in words."""
    return f"${{{logical_id}}}" if logical_id.startswith("AWS::") else f"the {in_words(logical_id, '').strip(' ()')}"
