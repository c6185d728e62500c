"""Scaling of an API: two target-tracking policies on one scalable target.

The load balancer's request count reacts to traffic, but has no data without traffic, so that it alone would never scale
in to the minimum. Requests in flight do: replicas publish them even when idle. With several policies, Application Auto
Scaling takes the largest answer to scale out, and scales in only if all agree (aws.md 4).
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from cortex_serving import contract

from cortex_cdk import names
from cortex_cdk.config.realtime_api import RealtimeApi


def scale_with_load(
    service: ecs.Ec2Service, cluster: str, api: RealtimeApi, target_group: elb.ApplicationTargetGroup
) -> None:
    """Add the scalable target and its policies to a service.

    Args:
        service: The API's service.
        cluster: The cluster's name.
        api: The API.
        target_group: Its target group.
    """
    scaling = api.autoscaling
    scale_in_cooldown = cdk.Duration.seconds(round(scaling.downscale_stabilization_period))
    scale_out_cooldown = cdk.Duration.seconds(round(scaling.upscale_stabilization_period))
    target = service.auto_scale_task_count(min_capacity=scaling.min_replicas, max_capacity=scaling.max_replicas)
    target.scale_on_request_count(
        names.REQUESTS_POLICY,
        # ALBRequestCountPerTarget counts requests per minute.
        requests_per_target=scaling.target_replica_requests_per_second * 60,
        target_group=target_group,
        scale_in_cooldown=scale_in_cooldown,
        scale_out_cooldown=scale_out_cooldown,
    )
    target.scale_to_track_custom_metric(
        names.IN_FLIGHT_POLICY,
        metric=in_flight(cluster, api.name),
        target_value=scaling.target_replica_concurrency,
        scale_in_cooldown=scale_in_cooldown,
        scale_out_cooldown=scale_out_cooldown,
    )


def in_flight(cluster: str, api: str) -> cloudwatch.Metric:
    """Return the metric of requests in flight per replica, on average over a minute."""
    return cloudwatch.Metric(
        namespace=contract.METRIC_NAMESPACE,
        metric_name=contract.IN_FLIGHT_METRIC,
        dimensions_map=contract.dimensions(cluster, api),
        statistic=cloudwatch.Stats.AVERAGE,
        period=cdk.Duration.minutes(1),
    )
