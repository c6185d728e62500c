"""The resource types of Elastic Load Balancing: load balancers, listeners, rules and target groups."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from moto.elbv2.models import FakeLoadBalancer, elbv2_backends

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_dict, as_list

HEALTH_CHECK = {
    "HealthCheckEnabled": "health_check_enabled",
    "HealthCheckIntervalSeconds": "health_check_interval",
    "HealthCheckPath": "health_check_path",
    "HealthCheckPort": "health_check_port",
    "HealthCheckProtocol": "health_check_proto",
    "HealthCheckTimeoutSeconds": "health_check_timeout",
    "HealthyThresholdCount": "healthy_threshold_count",
    "UnhealthyThresholdCount": "unhealthy_threshold_count",
}
"""Arguments of ``modify_target_group`` by the properties of a target group."""


def answer_at(address: str, tls_address: str) -> None:
    """Give all load balancers of the account one address.

    Args:
        address: Such as ``127.0.0.1:8888``.
        tls_address: The address of load balancers that end TLS, such as ``127.0.0.1:8443``.
    """

    def dns_name(balancer: FakeLoadBalancer) -> str:
        return tls_address if any(listener.protocol == "HTTPS" for listener in balancer.listeners.values()) else address

    # A property of the class, so that load balancers that were stored under another port have the new one.
    FakeLoadBalancer.dns_name = property(dns_name, lambda balancer, value: None)  # type: ignore[assignment]


def backend(place: Place) -> Any:
    """Return moto\'s Elastic Load Balancing of a region."""
    return elbv2_backends[place.account][place.region]


def set_tags(place: Place, arn: str, properties: Properties) -> None:
    """Give a resource the tags of its properties, and take all others away."""
    tagging = backend(place).tagging_service
    known = tagging.get_tag_dict_for_resource(arn)
    tagging.untag_resource_using_names(arn, [key for key in known if key not in as_dict(properties.get("Tags"))])
    tagging.tag_resource(arn, as_list(properties.get("Tags")))


class LoadBalancer(Resource):
    """An Application Load Balancer."""

    type = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    name_property = "Name"

    def __init__(self, arn: str, name: str) -> None:
        full_name = arn.split(":loadbalancer/")[1]
        super().__init__(arn, {"LoadBalancerArn": arn, "LoadBalancerName": name, "LoadBalancerFullName": full_name})
        self.place = Place("", "")

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateLoadBalancer."""
        balancer = backend(place).create_load_balancer(
            name,
            properties.get("SecurityGroups", []),
            properties.get("Subnets", []),
            properties.get("SubnetMappings"),
            scheme=properties.get("Scheme", "internet-facing"),
            loadbalancer_type=properties.get("Type"),
            ip_address_type=properties.get("IpAddressType", "ipv4"),
        )
        balancer.activate()
        made = cls(balancer.arn, name)
        made.place = place
        made._set(properties, place)
        return made

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """Return an attribute. ``DNSName``, which changes with the port, security groups and zone are read anew."""
        balancer = backend(self.place).load_balancers[self.physical_resource_id]
        live = {"DNSName": balancer.dns_name, "SecurityGroups": balancer.security_groups}
        zone = {"CanonicalHostedZoneID": f"Z{self.place.region.replace('-', '').upper()}"}
        return {**live, **zone}.get(attribute_name) or super().get_cfn_attribute(attribute_name)

    def update(self, properties: Properties, place: Place) -> None:
        """Security groups, subnets, attributes and tags."""
        elb = backend(place)
        elb.set_security_groups(self.physical_resource_id, properties.get("SecurityGroups", []))
        elb.set_subnets(self.physical_resource_id, properties.get("Subnets", []), properties.get("SubnetMappings", []))
        self._set(properties, place)

    def delete(self, place: Place) -> None:
        """DeleteLoadBalancer."""
        backend(place).delete_load_balancer(self.physical_resource_id)

    def _set(self, properties: Properties, place: Place) -> None:
        attributes = as_dict(properties.get("LoadBalancerAttributes"))
        backend(place).modify_load_balancer_attributes(self.physical_resource_id, attributes)
        set_tags(place, self.physical_resource_id, properties)


class Listener(Resource):
    """A listener, and its default action."""

    type = "AWS::ElasticLoadBalancingV2::Listener"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateListener."""
        certificates = properties.get("Certificates") or [{}]
        listener = backend(place).create_listener(
            properties["LoadBalancerArn"],
            properties["Protocol"],
            properties["Port"],
            properties.get("SslPolicy"),
            certificates[0].get("CertificateArn"),
            copy.deepcopy(properties["DefaultActions"]),
        )
        set_tags(place, listener.arn, properties)
        return cls(listener.arn, {"ListenerArn": listener.arn})

    def update(self, properties: Properties, place: Place) -> None:
        """ModifyListener."""
        backend(place).modify_listener(
            self.physical_resource_id,
            properties["Port"],
            properties["Protocol"],
            properties.get("SslPolicy"),
            properties.get("Certificates"),
            copy.deepcopy(properties["DefaultActions"]),
        )
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteListener."""
        backend(place).delete_listener(self.physical_resource_id)


class ListenerRule(Resource):
    """A rule: its conditions, and its target groups with weights."""

    type = "AWS::ElasticLoadBalancingV2::ListenerRule"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateRule."""
        _refuse_taken(properties, place)
        rule = backend(place).create_rule(
            properties["ListenerArn"],
            copy.deepcopy(properties["Conditions"]),
            int(properties["Priority"]),
            _complete(properties["Actions"]),
        )
        set_tags(place, rule.arn, properties)
        return cls(rule.arn, {"RuleArn": rule.arn, "IsDefault": False})

    def update(self, properties: Properties, place: Place) -> None:
        """ModifyRule and SetRulePriorities."""
        elb, arn = backend(place), self.physical_resource_id
        rule = elb.modify_rule(arn, copy.deepcopy(properties["Conditions"]), _complete(properties["Actions"]))
        if rule.priority != int(properties["Priority"]):
            elb.set_rule_priorities([{"RuleArn": arn, "Priority": int(properties["Priority"])}])
        set_tags(place, arn, properties)

    def delete(self, place: Place) -> None:
        """DeleteRule."""
        backend(place).delete_rule(self.physical_resource_id)


def _complete(actions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return actions as DescribeRules shows them: a single target group is a forward configuration, too.

    Raises:
        ValueError: Tokens are to be validated, which nobody does here: everybody would be let in.
    """
    completed = []
    for action in copy.deepcopy(actions):
        if action.get("Type") == "jwt-validation":
            raise ValueError(
                "The local cloud does not validate tokens (jwt-validation), and would let everybody in. "
                "Leave networking.auth.jwt out here, or take networking.auth: api_key."
            )
        alone = action.get("Type") == "forward" and "ForwardConfig" not in action
        forward = {"ForwardConfig": {"TargetGroups": [{"TargetGroupArn": action["TargetGroupArn"]}]}} if alone else {}
        completed.append({**action, **forward})
    return completed


def _refuse_taken(properties: Properties, place: Place) -> None:
    """Refuse a path that another load balancer has. All share one address here, so only one of them would answer.

    Raises:
        ValueError: Another load balancer has the path.
    """
    wanted = _paths(properties["Conditions"])
    for elb in elbv2_backends[place.account].values():
        for balancer in elb.load_balancers.values():
            listeners = balancer.listeners.values()
            rules = [rule for listener in listeners for rule in listener.rules.values()]
            taken = wanted & {path for rule in rules for path in _paths(rule.conditions)}
            if taken and properties["ListenerArn"] not in balancer.listeners:
                raise ValueError(
                    f"The load balancer {balancer.name} has the path {min(taken)}, and all load balancers of the local "
                    "cloud share one address: choose another networking.endpoint."
                )


def _paths(conditions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the path patterns of a rule's conditions."""
    return {
        path
        for condition in conditions
        if condition.get("Field") == "path-pattern"
        for path in (condition.get("PathPatternConfig") or condition).get("Values", ())
    }


class TargetGroup(Resource):
    """A target group: how its targets are checked, chosen and drained."""

    type = "AWS::ElasticLoadBalancingV2::TargetGroup"
    name_property = "Name"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateTargetGroup."""
        group = backend(place).create_target_group(
            name,
            vpc_id=properties.get("VpcId"),
            protocol=properties.get("Protocol"),
            protocol_version=properties.get("ProtocolVersion", "HTTP1"),
            port=properties.get("Port"),
            target_type=properties.get("TargetType", "instance"),
            matcher=properties.get("Matcher"),
        )
        full_name = group.arn.split(":")[-1]
        made = cls(
            group.arn,
            {"TargetGroupArn": group.arn, "TargetGroupName": name, "TargetGroupFullName": full_name},
        )
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """ModifyTargetGroup and ModifyTargetGroupAttributes."""
        elb, arn = backend(place), self.physical_resource_id
        checks = {argument: properties.get(name) for name, argument in HEALTH_CHECK.items()}
        elb.modify_target_group(arn, http_codes=(properties.get("Matcher") or {}).get("HttpCode"), **checks)
        elb.modify_target_group_attributes(arn, as_dict(properties.get("TargetGroupAttributes")))
        set_tags(place, arn, properties)

    def delete(self, place: Place) -> None:
        """DeleteTargetGroup."""
        backend(place).delete_target_group(self.physical_resource_id)
