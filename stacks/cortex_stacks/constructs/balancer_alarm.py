"""The alarm on requests that no replica answered."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk import names

MINUTE = cdk.Duration.minutes(1)


class BalancerAlarm(Construct):
    """Alarm on server errors of the load balancer itself (502, 503, 504), of all APIs of a cluster together.

    CloudWatch counts ``HTTPCode_ELB_5XX_Count`` by load balancer and zone, not by target group (ALB user guide,
    "CloudWatch metrics"), so that no alarm of an API can see such errors. A replica that dies with its requests causes
    some in one minute, which is no reason for an alarm.

    Args:
        cluster: The cluster's name.
        load_balancer: Its load balancer.

    Attributes:
        errors: Goes off after such errors in three of five minutes.
    """

    def __init__(self, scope: Construct, id: str, *, cluster: str, load_balancer: elb.ApplicationLoadBalancer) -> None:
        super().__init__(scope, id)
        self.errors = cloudwatch.Alarm(
            self,
            "Errors",
            alarm_name=names.balancer_alarm(cluster),
            alarm_description=f"The load balancer of cluster {cluster} answers with server errors itself",
            metric=load_balancer.metrics.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
