"""One dashboard for a cluster. Its searches find new APIs, so that deploying an API never changes the dashboard."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct
from cortex_serving import contract

from cortex_cdk import names

MINUTE = cdk.Duration.minutes(1)
WIDTH, HEIGHT = 8, 6


class ClusterDashboard(Construct):
    """Requests, errors, latency and in-flight requests by API, and the capacity of the instance groups.

    Args:
        cluster: The cluster's name.
        load_balancer: The ``LoadBalancer`` dimension of its load balancer's metrics.

    Attributes:
        name: The dashboard's name.
    """

    def __init__(self, scope: Construct, id: str, *, cluster: str, load_balancer: str) -> None:
        super().__init__(scope, id)
        self.name = names.dashboard(cluster)
        ecs_cluster = names.ecs_cluster(cluster)
        balancer = f'{{AWS/ApplicationELB,LoadBalancer,TargetGroup}} LoadBalancer="{load_balancer}"'
        itself = f'{{AWS/ApplicationELB,LoadBalancer}} LoadBalancer="{load_balancer}"'
        dimensions = ",".join(sorted(contract.dimensions(cluster, "any")))
        in_flight = (
            f'{{{contract.METRIC_NAMESPACE},{dimensions}}} MetricName="{contract.IN_FLIGHT_METRIC}" '
            f'{contract.CLUSTER_DIMENSION}="{cluster}"'
        )
        capacity = f'{{AWS/ECS/ManagedScaling,CapacityProviderName,ClusterName}} ClusterName="{ecs_cluster}"'
        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=self.name)
        dashboard.add_widgets(
            _graph("2XX answers per minute", f'{balancer} MetricName="HTTPCode_Target_2XX_Count"', "Sum"),
            _graph("4XX answers per minute", f'{balancer} MetricName="HTTPCode_Target_4XX_Count"', "Sum"),
            _graph("5XX answers per minute", f'{balancer} MetricName="HTTPCode_Target_5XX_Count"', "Sum"),
        )
        dashboard.add_widgets(
            _graph("Response time, median (s)", f'{balancer} MetricName="TargetResponseTime"', "p50"),
            _graph("Response time, p99 (s)", f'{balancer} MetricName="TargetResponseTime"', "p99"),
            _graph("Healthy replicas", f'{balancer} MetricName="HealthyHostCount"', "Maximum"),
        )
        dashboard.add_widgets(
            _graph("Requests in flight per replica", in_flight, "Average"),
            _graph("Most requests in flight in a replica", in_flight, "Maximum"),
            _graph(
                "Instances wanted, in percent of those there",
                f'{capacity} MetricName="CapacityProviderReservation"',
                "Average",
            ),
        )
        # Requests that no replica answered, of all APIs together: CloudWatch does not count them by target group.
        dashboard.add_widgets(
            _graph("5XX answers of the load balancer itself", f'{itself} MetricName="HTTPCode_ELB_5XX_Count"', "Sum"),
        )


def _graph(title: str, search: str, statistic: str) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        width=WIDTH,
        height=HEIGHT,
        period=MINUTE,
        left_y_axis=cloudwatch.YAxisProps(min=0),
        left=[
            cloudwatch.MathExpression(
                expression=f"SEARCH('{search}', '{statistic}', {MINUTE.to_seconds()})",
                using_metrics={},
                label="",
                period=MINUTE,
            )
        ],
    )
