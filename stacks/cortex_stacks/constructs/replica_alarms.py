"""The alarms of an API. Their names are fixed, so that the service needs no reference to them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk import names

MINUTE = cdk.Duration.minutes(1)
ERROR_PERCENT = 10
MINUTES_BEYOND = 5


class ReplicaAlarms(Construct):
    """Alarms on server errors and on replicas that fail their health check.

    Without requests, a load balancer's metrics have no data, so missing data is not breaching.

    Args:
        cluster: The cluster's name.
        api: The API's name.
        target_group: The API's target group.
        least_healthy: The fewest healthy replicas that an update leaves when there are as few as may be.
        minutes_to_load: How long a replica may take to load its model. Until then it fails its health check.

    Attributes:
        errors: More than 10 % of the answers were 5XX in two of three minutes. Rolls a deployment back.
        unhealthy: Too few replicas were healthy for longer than a model may take to load.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cluster: str,
        api: str,
        target_group: elb.ApplicationTargetGroup,
        least_healthy: int,
        minutes_to_load: int,
    ) -> None:
        super().__init__(scope, id)
        self._metrics = target_group.metrics
        self.errors = cloudwatch.Alarm(
            self,
            "Errors",
            alarm_name=names.alarm(cluster, api, names.ERRORS),
            alarm_description=f"More than {ERROR_PERCENT} % of the answers of API {api} are server errors",
            metric=self._error_percent(),
            threshold=ERROR_PERCENT,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.unhealthy = cloudwatch.Alarm(
            self,
            "Unhealthy",
            alarm_name=names.alarm(cluster, api, names.UNHEALTHY),
            alarm_description=f"API {api} has too few healthy replicas, for longer than loading a model may take",
            metric=self._unhealthy_and_missed(least_healthy),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=minutes_to_load + MINUTES_BEYOND,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _unhealthy_and_missed(self, least_healthy: int) -> cloudwatch.MathExpression:
        """Replicas that fail their health check, while fewer pass than an update leaves."""
        return cloudwatch.MathExpression(
            label="Unhealthy replicas that are missed",
            expression=f"IF(healthy < {least_healthy}, unhealthy, 0)",
            using_metrics={
                "healthy": self._metrics.healthy_host_count(period=MINUTE, statistic=cloudwatch.Stats.MINIMUM),
                "unhealthy": self._metrics.unhealthy_host_count(period=MINUTE, statistic=cloudwatch.Stats.MAXIMUM),
            },
            period=MINUTE,
        )

    def _error_percent(self) -> cloudwatch.MathExpression:
        errors = self._metrics.http_code_target(elb.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE)
        return cloudwatch.MathExpression(
            label="5XX answers in percent",
            expression="100 * errors / requests",
            using_metrics={"errors": errors, "requests": self._metrics.request_count(period=MINUTE)},
            period=MINUTE,
        )
