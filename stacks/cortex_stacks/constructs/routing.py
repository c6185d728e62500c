"""Listener rules: an endpoint and everything below it."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk.synthesis.specs import ClusterResources


def endpoint_rule(
    scope: Construct, *, cluster: ClusterResources, endpoint: str, priority: int, action: elb.ListenerAction
) -> elb.ApplicationListenerRule:
    """A rule on the cluster's listener for an endpoint and everything below it.

    Two conditions and one wildcard: a rule takes at most five of each.

    Args:
        endpoint: With a leading and without a trailing slash.
        priority: 1 to 50000; of two rules that match, the lower number wins.
    """
    listener = elb.ApplicationListener.from_application_listener_attributes(
        scope,
        "Listener",
        listener_arn=cluster.listener_arn,
        # Asked for by the construct, not used: the cluster's stack opens the ports between load balancer and instances.
        security_group=ec2.SecurityGroup.from_security_group_id(scope, "None", "sg-none", mutable=False),
    )
    return elb.ApplicationListenerRule(
        scope,
        "Rule",
        listener=listener,
        priority=priority,
        conditions=[elb.ListenerCondition.path_patterns([endpoint, f"{endpoint}/*"])],
        action=action,
    )
