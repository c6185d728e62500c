"""The resource types of security groups and their rules."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import uuid4

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.services.ec2.resources.network import backend, set_tags

ANYWHERE = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
"""The rule that EC2 gives to a new group. The rules of a template replace it."""
INGRESS, EGRESS = "ingress", "egress"


def change_rule(place: Place, group: str, direction: str, rule: Properties, verb: str) -> None:
    """Add or remove one rule.

    Args:
        group: Id of the group.
        direction: ``ingress`` or ``egress``.
        rule: The rule as CloudFormation writes it.
        verb: ``authorize`` or ``revoke``.
    """
    change = getattr(backend(place), f"{verb}_security_group_{direction}")
    other = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    prefix = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
    change(
        group,
        str(rule["IpProtocol"]),
        _port(rule, "FromPort"),
        _port(rule, "ToPort"),
        _ranges(rule),
        source_groups=[{"GroupId": other}] if other else [],
        prefix_list_ids=[{"PrefixListId": prefix}] if prefix else [],
    )


def _port(rule: Properties, name: str) -> Any:
    return int(rule[name]) if name in rule else None


def _ranges(rule: Properties) -> list[dict[str, str]]:
    addresses = {name: rule[name] for name in ("CidrIp", "CidrIpv6", "Description") if name in rule}
    return [addresses] if "CidrIp" in rule or "CidrIpv6" in rule else []


class SecurityGroup(Resource):
    """A security group and the rules written in it."""

    type = "AWS::EC2::SecurityGroup"
    name_property = "GroupName"

    def __init__(self, group: str, vpc: str) -> None:
        super().__init__(group, {"GroupId": group, "Id": group, "VpcId": vpc})
        self.rules: list[tuple[str, dict[str, Any]]] = []

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateSecurityGroup."""
        group = backend(place).create_security_group(name, properties["GroupDescription"], properties.get("VpcId"))
        made = cls(group.id, group.vpc_id)
        made.rules = [(EGRESS, ANYWHERE)]
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Make the group's own rules as the template says. Rules that are resources of their own stay."""
        outgoing = properties.get("SecurityGroupEgress") or [ANYWHERE]
        wanted = [(INGRESS, dict(rule)) for rule in properties.get("SecurityGroupIngress", [])]
        wanted += [(EGRESS, dict(rule)) for rule in outgoing]
        for direction, rule in [known for known in self.rules if known not in wanted]:
            change_rule(place, self.physical_resource_id, direction, rule, "revoke")
        for direction, rule in [new for new in wanted if new not in self.rules]:
            change_rule(place, self.physical_resource_id, direction, rule, "authorize")
        self.rules = wanted
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteSecurityGroup."""
        backend(place).delete_security_group(group_id=self.physical_resource_id)


class _Rule(Resource):
    """A rule that is a resource of its own, as two groups need that name each other."""

    direction: ClassVar[str]

    def __init__(self, group: str, rule: Properties) -> None:
        super().__init__(f"sgr-{uuid4().hex[:17]}")
        self.group, self.rule = group, dict(rule)

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """Authorize the rule."""
        made = cls(properties["GroupId"], properties)
        change_rule(place, made.group, cls.direction, properties, "authorize")
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Only its description can change in place."""
        self.delete(place)
        self.rule = dict(properties)
        change_rule(place, self.group, self.direction, properties, "authorize")

    def delete(self, place: Place) -> None:
        """Revoke the rule."""
        change_rule(place, self.group, self.direction, self.rule, "revoke")


class Ingress(_Rule):
    """A rule for incoming traffic."""

    type = "AWS::EC2::SecurityGroupIngress"
    direction = INGRESS


class Egress(_Rule):
    """A rule for outgoing traffic."""

    type = "AWS::EC2::SecurityGroupEgress"
    direction = EGRESS
