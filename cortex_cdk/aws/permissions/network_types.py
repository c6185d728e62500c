"""The types of resources of networks and load balancers: see ``resource_types``."""

from __future__ import annotations

from collections.abc import Mapping

from cortex_cdk.aws.permissions.grant import ANYTHING, OWN, Grant, Scope, arn

DESCRIBE = "CloudFormation waits until a resource is as it should be"
_BALANCING = ("loadbalancer/app/*", "listener/app/*", "listener-rule/app/*", "targetgroup/*")

NETWORK = Scope("MakeNetwork", (arn("ec2", "*"),))
OWN_NETWORK = Scope("ChangeOwnNetwork", (arn("ec2", "*"),), OWN)
BALANCING = Scope("MakeLoadBalancing", tuple(arn("elasticloadbalancing", part) for part in _BALANCING))
OWN_BALANCING = Scope("ChangeOwnLoadBalancing", BALANCING.arns, OWN)


def of_clusters(*grants: Grant) -> tuple[Grant, ...]:
    return tuple(Grant(one.why, one.actions, one.scope, deploys=False) for one in grants)


def _network(made: tuple[str, ...], changed: tuple[str, ...], read: tuple[str, ...]) -> tuple[Grant, ...]:
    why = "the cluster's network"
    return of_clusters(
        *([Grant(why, tuple(f"ec2:{action}" for action in made), NETWORK)] if made else []),
        Grant(why, tuple(f"ec2:{action}" for action in changed), OWN_NETWORK),
        Grant(DESCRIBE, tuple(f"ec2:{action}" for action in read), ANYTHING),
    )


def _balancing(made: str, changed: tuple[str, ...], read: tuple[str, ...]) -> tuple[Grant, ...]:
    why = "load balancer, listeners, rules, target groups"
    prefix = "elasticloadbalancing:"
    return (
        Grant(why, (f"{prefix}{made}", f"{prefix}AddTags"), BALANCING),
        Grant(why, (*(f"{prefix}{action}" for action in changed), f"{prefix}RemoveTags"), OWN_BALANCING),
        Grant(DESCRIBE, tuple(f"{prefix}{action}" for action in (*read, "DescribeTags")), ANYTHING),
    )


_TAGS = ("CreateTags",)
_UNTAG = ("DeleteTags",)

NETWORK_TYPES: Mapping[str, tuple[Grant, ...]] = {
    "AWS::EC2::EIP": _network(("AllocateAddress", *_TAGS), ("ReleaseAddress", *_UNTAG), ("DescribeAddresses",)),
    "AWS::EC2::InternetGateway": _network(
        ("CreateInternetGateway", *_TAGS), ("DeleteInternetGateway", *_UNTAG), ("DescribeInternetGateways",)
    ),
    "AWS::EC2::LaunchTemplate": _network(
        ("CreateLaunchTemplate", *_TAGS),
        ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "DeleteLaunchTemplate", *_UNTAG),
        ("DescribeLaunchTemplates", "DescribeLaunchTemplateVersions"),
    ),
    "AWS::EC2::NatGateway": _network(
        ("CreateNatGateway", *_TAGS), ("DeleteNatGateway", *_UNTAG), ("DescribeNatGateways",)
    ),
    "AWS::EC2::Route": _network((), ("CreateRoute", "ReplaceRoute", "DeleteRoute"), ("DescribeRouteTables",)),
    "AWS::EC2::RouteTable": _network(
        ("CreateRouteTable", *_TAGS), ("DeleteRouteTable", *_UNTAG), ("DescribeRouteTables",)
    ),
    "AWS::EC2::SecurityGroup": _network(
        ("CreateSecurityGroup", *_TAGS),
        (
            "AuthorizeSecurityGroupEgress",
            "AuthorizeSecurityGroupIngress",
            "RevokeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "UpdateSecurityGroupRuleDescriptionsEgress",
            "UpdateSecurityGroupRuleDescriptionsIngress",
            "DeleteSecurityGroup",
            *_UNTAG,
        ),
        ("DescribeSecurityGroups", "DescribeInstances"),
    ),
    "AWS::EC2::SecurityGroupEgress": _network(
        (),
        ("AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress", "UpdateSecurityGroupRuleDescriptionsEgress"),
        ("DescribeSecurityGroupRules",),
    ),
    "AWS::EC2::SecurityGroupIngress": _network(
        (),
        ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "UpdateSecurityGroupRuleDescriptionsIngress"),
        ("DescribeSecurityGroupRules", "DescribeSecurityGroups"),
    ),
    "AWS::EC2::Subnet": _network(
        ("CreateSubnet", *_TAGS),
        ("ModifySubnetAttribute", "DeleteSubnet", *_UNTAG),
        ("DescribeSubnets", "DescribeNetworkAcls", "DescribeAvailabilityZones"),
    ),
    "AWS::EC2::SubnetRouteTableAssociation": _network(
        (),
        ("AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"),
        ("DescribeRouteTables", "DescribeSubnets"),
    ),
    "AWS::EC2::VPC": _network(
        ("CreateVpc", *_TAGS),
        ("ModifyVpcAttribute", "DeleteVpc", *_UNTAG),
        ("DescribeVpcs", "DescribeVpcAttribute", "DescribeNetworkAcls", "DescribeSecurityGroups"),
    ),
    "AWS::EC2::VPCEndpoint": _network(
        ("CreateVpcEndpoint", *_TAGS),
        ("ModifyVpcEndpoint", "DeleteVpcEndpoints", *_UNTAG),
        ("DescribeVpcEndpoints", "DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups"),
    ),
    "AWS::EC2::VPCGatewayAttachment": _network(
        (), ("AttachInternetGateway", "DetachInternetGateway"), ("DescribeInternetGateways", "DescribeVpnGateways")
    ),
    "AWS::ElasticLoadBalancingV2::Listener": of_clusters(
        *_balancing(
            "CreateListener",
            ("ModifyListener", "ModifyListenerAttributes", "DeleteListener"),
            ("DescribeListeners", "DescribeListenerAttributes"),
        )
    ),
    "AWS::ElasticLoadBalancingV2::ListenerRule": _balancing(
        "CreateRule", ("ModifyRule", "SetRulePriorities", "DeleteRule"), ("DescribeRules",)
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": of_clusters(
        *_balancing(
            "CreateLoadBalancer",
            (
                "ModifyLoadBalancerAttributes",
                "SetIpAddressType",
                "SetSecurityGroups",
                "SetSubnets",
                "DeleteLoadBalancer",
            ),
            ("DescribeLoadBalancers", "DescribeLoadBalancerAttributes", "DescribeCapacityReservation"),
        ),
        Grant(
            DESCRIBE,
            ("ec2:DescribeAccountAttributes", "ec2:DescribeInternetGateways", "ec2:DescribeSubnets"),
            ANYTHING,
        ),
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": (
        *_balancing(
            "CreateTargetGroup",
            ("ModifyTargetGroup", "ModifyTargetGroupAttributes", "DeleteTargetGroup"),
            ("DescribeTargetGroups", "DescribeTargetGroupAttributes", "DescribeTargetHealth"),
        ),
        Grant(DESCRIBE, ("ec2:DescribeVpcs",), ANYTHING),
    ),
}
