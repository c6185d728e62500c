"""Scaling of an API: target tracking of the requests in flight, and of the request rate where a target is given.

With several policies Application Auto Scaling takes the largest answer when scaling out, and scales in only when all
agree; a policy without data agrees to nothing ("How target tracking scaling works", Application Auto Scaling guide). So
each must have data when there is no traffic. Replicas publish their requests in flight even when idle. The load
balancer's requests vanish with the traffic and are filled with zeros. (The predefined metric ALBRequestCountPerTarget
would be the same without the zeros, and keep an idle API from ever scaling in.) FILL gives zeros even where a window
has no value at all (decision 0033).
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from cortex_serving import contract

from cortex_cdk import names
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.config.sections.autoscaling import Autoscaling


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
    if scaling.target_replica_requests_per_second is not None:
        _track_requests(target, target_group, scaling, scaling.target_replica_requests_per_second)
    target.scale_to_track_custom_metric(
        names.IN_FLIGHT_POLICY,
        metric=in_flight(cluster, api.name),
        target_value=scaling.target_replica_concurrency,
        scale_in_cooldown=scale_in_cooldown,
        scale_out_cooldown=scale_out_cooldown,
    )


def _track_requests(
    target: ecs.ScalableTaskCount, target_group: elb.ApplicationTargetGroup, scaling: Autoscaling, rate: float
) -> None:
    """Keep the requests per replica and second at the target. The construct of the CDK takes no metric math."""
    scalable = target.node.find_child("Target")
    assert isinstance(scalable, appscaling.ScalableTarget)
    requests = target_group.metrics.custom("RequestCountPerTarget")
    policy = appscaling.CfnScalingPolicy
    appscaling.CfnScalingPolicy(
        target,
        names.REQUESTS_POLICY,
        policy_name=names.REQUESTS_POLICY,
        policy_type="TargetTrackingScaling",
        scaling_target_id=scalable.scalable_target_id,
        target_tracking_scaling_policy_configuration=policy.TargetTrackingScalingPolicyConfigurationProperty(
            # The metric counts requests per minute.
            target_value=rate * 60,
            scale_in_cooldown=round(scaling.downscale_stabilization_period),
            scale_out_cooldown=round(scaling.upscale_stabilization_period),
            customized_metric_specification=policy.CustomizedMetricSpecificationProperty(
                metrics=[
                    policy.TargetTrackingMetricDataQueryProperty(
                        id="requests",
                        metric_stat=policy.TargetTrackingMetricStatProperty(
                            metric=policy.TargetTrackingMetricProperty(
                                namespace=requests.namespace,
                                metric_name=requests.metric_name,
                                dimensions=[
                                    policy.TargetTrackingMetricDimensionProperty(name=name, value=value)
                                    for name, value in sorted((requests.dimensions or {}).items())
                                ],
                            ),
                            # The only statistic that it has; its values are averages over the targets already.
                            stat="Sum",
                        ),
                        return_data=False,
                    ),
                    policy.TargetTrackingMetricDataQueryProperty(id="filled", expression="FILL(requests, 0)"),
                ]
            ),
        ),
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
