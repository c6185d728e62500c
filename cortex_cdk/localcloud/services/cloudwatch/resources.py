"""The resource types of CloudWatch: alarms and dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.cloudwatch.models import Dimension, Metric, MetricDataQuery, MetricStat, cloudwatch_backends

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, PutResource
from cortex_cdk.localcloud.cloudformation.tags import as_list


def backend(place: Place) -> Any:
    """Return moto\'s CloudWatch of a region."""
    return cloudwatch_backends[place.account][place.region]


class Alarm(PutResource):
    """A metric alarm."""

    type = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether there is an alarm of this name."""
        return name in backend(place).alarms

    def update(self, properties: Properties, place: Place) -> None:
        """PutMetricAlarm."""
        get, name = properties.get, self.physical_resource_id
        self.attributes["Arn"] = f"arn:aws:cloudwatch:{place.region}:{place.account}:alarm:{name}"
        backend(place).put_metric_alarm(
            name=name,
            namespace=get("Namespace"),
            metric_name=get("MetricName"),
            comparison_operator=properties["ComparisonOperator"],
            evaluation_periods=properties["EvaluationPeriods"],
            period=get("Period"),
            threshold=get("Threshold"),
            statistic=get("Statistic"),
            description=get("AlarmDescription"),
            dimensions=get("Dimensions", []),
            alarm_actions=get("AlarmActions", []),
            metric_data_queries=[alarm_query(query) for query in get("Metrics", [])] or None,
            datapoints_to_alarm=get("DatapointsToAlarm"),
            extended_statistic=get("ExtendedStatistic"),
            ok_actions=get("OKActions", []),
            insufficient_data_actions=get("InsufficientDataActions", []),
            unit=get("Unit"),
            actions_enabled=get("ActionsEnabled", True),
            treat_missing_data=get("TreatMissingData"),
            evaluate_low_sample_count_percentile=get("EvaluateLowSampleCountPercentile"),
            threshold_metric_id=get("ThresholdMetricId"),
            tags=as_list(get("Tags")),
        )

    def actual(self, expected: Properties, place: Place) -> Properties | None:
        """The threshold and how it is evaluated."""
        alarm = backend(place).alarms.get(self.physical_resource_id)
        if alarm is None:
            return None
        found = {
            "Threshold": alarm.threshold,
            "ComparisonOperator": alarm.comparison_operator,
            "EvaluationPeriods": alarm.evaluation_periods,
            "DatapointsToAlarm": alarm.datapoints_to_alarm,
            "TreatMissingData": alarm.treat_missing_data,
        }
        return {name: value for name, value in found.items() if name in expected}

    def delete(self, place: Place) -> None:
        """DeleteAlarms."""
        backend(place).delete_alarms([self.physical_resource_id])


class Dashboard(PutResource):
    """A dashboard."""

    type = "AWS::CloudWatch::Dashboard"
    name_property = "DashboardName"

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether there is a dashboard of this name."""
        return name in backend(place).dashboards

    def update(self, properties: Properties, place: Place) -> None:
        """PutDashboard."""
        backend(place).put_dashboard(self.physical_resource_id, properties["DashboardBody"])

    def delete(self, place: Place) -> None:
        """DeleteDashboards."""
        backend(place).delete_dashboards([self.physical_resource_id])


def alarm_query(query: Mapping[str, Any]) -> Any:
    """Return a ``MetricDataQuery`` of an alarm in moto's form."""
    # moto declares these as required, but its own API layer passes None, too.
    optional: dict[str, Any] = {name.lower(): query.get(name) for name in ("Label", "Period", "Expression")}
    statistic = _statistic(query["MetricStat"]) if "MetricStat" in query else None
    return MetricDataQuery(
        query_id=query["Id"], return_data=query.get("ReturnData", True), metric_stat=statistic, **optional
    )


def _statistic(statistic: Mapping[str, Any]) -> Any:
    metric = statistic["Metric"]
    dimensions = [Dimension(name=item["Name"], value=item["Value"]) for item in metric.get("Dimensions", [])]
    unit: Any = statistic.get("Unit")
    return MetricStat(
        metric=Metric(metric_name=metric["MetricName"], namespace=metric["Namespace"], dimensions=dimensions),
        period=statistic["Period"],
        stat=statistic["Stat"],
        unit=unit,
    )
