"""Listener rules: an endpoint and everything below it."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk.synthesis.specs import ClusterResources


def endpoint_rule(
    scope: Construct, *, cluster: ClusterResources, endpoint: str, priority: int, action: elb.ListenerAction
) -> elb.ApplicationListenerRule:
    """Add a rule to the cluster's listener for an endpoint and everything below it.

    The rule has two conditions and one wildcard. ELBv2 allows five of each.

    Args:
        cluster: The cluster's resources.
        endpoint: Path with a leading and without a trailing slash.
        priority: 1 to 50000; of two rules that match, the lower number wins.
        action: What the load balancer does with matching requests.
    """
    listener = elb.ApplicationListener.from_application_listener_attributes(
        scope,
        "Listener",
        listener_arn=cluster.listener_arn,
        # The construct wants one and does not use it: the cluster's stack opens the ports of the instances.
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
