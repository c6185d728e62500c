"""The target group of an API: how the load balancer reaches the replicas, and by which path it checks their health."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct
from cortex_serving.contract import PORT, READY_PATH

HEALTH_CHECK_INTERVAL_S = 5
DEREGISTRATION_DELAY_S = 60


def replica_target_group(scope: Construct, construct_id: str, vpc: ec2.IVpc) -> elb.ApplicationTargetGroup:
    """Make the target group of an API's replicas.

    Args:
        scope: The stack.
        construct_id: The construct's name in the stack.
        vpc: The cluster's VPC.

    Returns:
        The target group. A replica is healthy while ``READY_PATH`` answers 200.
    """
    return elb.ApplicationTargetGroup(
        scope,
        construct_id,
        vpc=vpc,
        target_type=elb.TargetType.INSTANCE,
        protocol=elb.ApplicationProtocol.HTTP,
        port=PORT,
        deregistration_delay=cdk.Duration.seconds(DEREGISTRATION_DELAY_S),
        load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
        health_check=elb.HealthCheck(
            path=READY_PATH,
            port="traffic-port",
            interval=cdk.Duration.seconds(HEALTH_CHECK_INTERVAL_S),
            timeout=cdk.Duration.seconds(HEALTH_CHECK_INTERVAL_S - 1),
            healthy_threshold_count=2,
            unhealthy_threshold_count=3,
            healthy_http_codes="200",
        ),
    )
