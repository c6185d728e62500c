"""Metrics of real traffic, alarms on them, and services that follow the load. A minute lasts a second here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.local.localcloud.data_plane_support import Cloud, Traffic, cloud
from tests.local.waiting import until

LATER = timedelta(minutes=5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud(tmp_path_factory.mktemp("state"), speed=60) as result:
        yield result


def total(running: Cloud, name: str, statistic: str = "Sum", namespace: str = "AWS/ApplicationELB", **dims: str) -> Any:
    now = datetime.now(timezone.utc)
    query = {
        "Id": "m",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dims.items()],
            },
            "Period": 3600,
            "Stat": statistic,
        },
    }
    answer = running.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query], StartTime=now - LATER, EndTime=now + LATER
    )
    return sum(answer["MetricDataResults"][0]["Values"])


def suffix(arn: str) -> str:
    return arn.partition(":loadbalancer/")[2] or arn.rpartition(":")[2]


def test_requests_become_metrics(running: Cloud) -> None:
    running.group("iris")
    running.rule(1, "/iris", weights={"iris": 1})
    running.service("iris", running.definition())
    running.wait_for_rollout("iris")
    balancer, group = suffix(running.balancer), suffix(running.groups["iris"])
    until(lambda: running.get("/iris")[0] == 200)

    for _ in range(19):
        running.get("/iris?sleep=0.01")
    running.get("/iris?status=404")
    running.get("/iris?status=500")
    running.get("/iris?exit=1")

    dims = {"LoadBalancer": balancer, "TargetGroup": group}
    until(lambda: total(running, "RequestCount", **dims) >= 23)
    counts = {
        name: total(running, name, **dims)
        for name in (
            "RequestCount",
            "HTTPCode_Target_2XX_Count",
            "HTTPCode_Target_4XX_Count",
            "HTTPCode_Target_5XX_Count",
        )
    }
    assert counts["HTTPCode_Target_2XX_Count"] >= 20
    assert (counts["HTTPCode_Target_4XX_Count"], counts["HTTPCode_Target_5XX_Count"]) == (1, 1)
    assert counts["RequestCount"] == total(running, "RequestCount", LoadBalancer=balancer)
    assert total(running, "HTTPCode_ELB_502_Count", LoadBalancer=balancer) == 1
    until(lambda: total(running, "TargetResponseTime", "p90", **dims) > 0.009)
    assert total(running, "TargetResponseTime", "p90", **dims) < 1


def test_log_events_become_metrics(running: Cloud) -> None:
    logs = running.client("logs")
    logs.create_log_group(logGroupName="/cortex/x")
    logs.create_log_stream(logGroupName="/cortex/x", logStreamName="s")
    moment = int(time.time() * 1000)
    directive = {
        "Namespace": "Cortex",
        "Dimensions": [["Api"]],
        "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "InFlight"}],
    }
    event = {
        "_aws": {"Timestamp": moment, "CloudWatchMetrics": [directive]},
        "Api": "x",
        "Latency": [1, 2, 9],
        "InFlight": 4,
    }
    lines = [json.dumps(event), "no metrics here", '{"_aws": {"broken": true}}']

    logs.put_log_events(
        logGroupName="/cortex/x",
        logStreamName="s",
        logEvents=[{"timestamp": moment, "message": line} for line in lines],
    )

    assert total(running, "Latency", "Maximum", "Cortex", Api="x") == 9
    assert total(running, "Latency", "p50", "Cortex", Api="x") == 2
    assert total(running, "InFlight", "Average", "Cortex", Api="x") == 4
    found = running.client("cloudwatch").list_metrics(Namespace="Cortex", Dimensions=[{"Name": "Api", "Value": "x"}])
    assert {metric["MetricName"] for metric in found["Metrics"]} == {"Latency", "InFlight"}
    assert len(logs.get_log_events(logGroupName="/cortex/x", logStreamName="s")["events"]) == 3


def test_alarms_are_evaluated(running: Cloud) -> None:
    cloudwatch = running.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="many",
        Namespace="Own",
        MetricName="Load",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["many"])["MetricAlarms"]
        return str(alarm["StateValue"])

    cloudwatch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "Load", "Value": 7}])

    until(lambda: state() == "ALARM")
    until(lambda: state() == "OK")


def tracked_requests(label: str, *, filled: bool) -> dict[str, Any]:
    """A policy that keeps each replica at 60 requests a minute.

    Args:
        filled: Whether a minute without requests counts as one with none, and not as one without data.
    """
    if not filled:
        metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
        return {"PredefinedMetricSpecification": metric, "TargetValue": 60.0}
    balancer, _, group = label.partition("/targetgroup/")
    dimensions = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
    requests = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "RequestCountPerTarget",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    queries = [
        {"Id": "requests", "MetricStat": {"Metric": requests, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "filled", "Expression": "FILL(requests, 0)"},
    ]
    return {"CustomizedMetricSpecification": {"Metrics": queries}, "TargetValue": 60.0}


def tracked_in_flight(api: str) -> dict[str, Any]:
    """A policy that keeps each replica at one request in flight."""
    metric = {
        "Namespace": "Cortex",
        "MetricName": "InFlight",
        "Dimensions": [{"Name": "Api", "Value": api}],
        "Statistic": "Average",
    }
    return {"CustomizedMetricSpecification": metric, "TargetValue": 1.0}


def test_a_service_follows_the_load(running: Cloud) -> None:
    running.group("busy")
    running.rule(2, "/busy", weights={"busy": 1})
    running.service("busy", running.definition())
    running.wait_for_rollout("busy")
    scaling = running.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/main/busy",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3)
    label = f"{suffix(running.balancer)}/{suffix(running.groups['busy'])}"

    def track(name: str, tracking: dict[str, Any]) -> None:
        scaling.put_scaling_policy(
            **target,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={**tracking, "ScaleInCooldown": 60, "ScaleOutCooldown": 60},
        )

    track("requests", tracked_requests(label, filled=False))
    track("in-flight", tracked_in_flight("busy"))
    with Traffic(running, "/busy?sleep=0.05", clients=4):
        until(lambda: running.describe("busy")["runningCount"] == 3)

    def idle() -> bool:
        running.client("cloudwatch").put_metric_data(
            Namespace="Cortex",
            MetricData=[{"MetricName": "InFlight", "Value": 0, "Dimensions": [{"Name": "Api", "Value": "busy"}]}],
        )
        return bool(running.describe("busy")["runningCount"] == 1)

    # The load balancer counts nothing without traffic: one policy has no data, and so nothing is scaled in, ever.
    def states() -> list[str]:
        idle()
        alarms = running.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-service/main/busy")
        return sorted(alarm["StateValue"] for alarm in alarms["MetricAlarms"] if "-AlarmLow-" in alarm["AlarmName"])

    until(lambda: states() == ["ALARM", "INSUFFICIENT_DATA"], 120)
    assert not idle()
    track("requests", tracked_requests(label, filled=True))
    until(idle, 120)
    activities = scaling.describe_scaling_activities(ServiceNamespace="ecs", ResourceId="service/main/busy")
    causes = [activity["Cause"] for activity in activities["ScalingActivities"]]
    assert "-AlarmLow-" in causes[0]
    assert causes[0].endswith(("triggered policy in-flight", "triggered policy requests"))
    assert "-AlarmHigh-" in causes[-1]
    assert causes[-1].endswith("in state ALARM triggered policy requests")
    found = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    requests = next(policy for policy in found if policy["PolicyName"] == "requests")
    names = [alarm["AlarmName"] for alarm in requests["Alarms"]]
    shown = running.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert {(alarm["Threshold"], alarm["EvaluationPeriods"]) for alarm in shown} == {(60, 3), (54, 15)}
    assert {query.get("Expression") for alarm in shown for query in alarm["Metrics"]} == {None, "FILL(requests, 0)"}


def test_an_alarm_fails_a_deployment(running: Cloud) -> None:
    running.group("watched")
    running.rule(3, "/watched", weights={"watched": 1})
    alarms = {"alarmNames": ["loud"], "enable": True, "rollback": True}
    cloudwatch = running.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="loud",
        Namespace="Own",
        MetricName="Noise",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    good = running.definition(ANSWER="good")
    running.service("watched", good, deploymentConfiguration={"alarms": alarms})
    first = running.wait_for_rollout("watched")["deployments"][0]["id"]

    bad = running.update("watched", taskDefinition=running.definition(READY="no"))["deployments"][0]["id"]
    until(lambda: running.describe("watched")["deployments"][0]["runningCount"] == 1)

    def is_undone() -> bool:
        # Again and again: on a busy machine, a look at the alarm may come after the minute of a single value.
        cloudwatch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "Noise", "Value": 7}])
        return bool(running.describe("watched")["deployments"][0]["id"] == first)

    until(is_undone)
    service = running.wait_for_rollout("watched")
    assert service["taskDefinition"] == good
    messages = [event["message"] for event in service["events"]]
    assert f"(service watched) (deployment {bad}) deployment failed: alarm detected." in messages


def test_an_alarm_after_the_rollout_brings_the_deployment_before_back(running: Cloud) -> None:
    """In the bake time, which ECS derives from the alarms. The rollout has completed long since."""
    running.group("baked")
    running.rule(4, "/baked", weights={"baked": 1})
    cloudwatch = running.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="late",
        Namespace="Own",
        MetricName="LateNoise",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def noise() -> None:
        cloudwatch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "LateNoise", "Value": 7}])

    def ringing() -> bool:
        return bool(cloudwatch.describe_alarms(AlarmNames=["late"], StateValue="ALARM")["MetricAlarms"])

    alarms = {"alarmNames": ["late"], "enable": True, "rollback": True}
    good = running.definition(ANSWER="good")
    running.service("baked", good, deploymentConfiguration={"alarms": alarms})
    running.wait_for_rollout("baked")
    until(lambda: running.get("/baked")[0] == 200)
    noise()
    until(ringing)
    assert running.wait_for_rollout("baked")["taskDefinition"] == good  # there is nothing before the first one
    until(lambda: not ringing())

    bad = running.update("baked", taskDefinition=running.definition(ANSWER="bad"))["deployments"][0]["id"]
    assert running.wait_for_rollout("baked")["deployments"][0]["id"] == bad
    noise()
    until(lambda: running.describe("baked")["taskDefinition"] == good)
    messages = [event["message"] for event in running.wait_for_rollout("baked")["events"]]
    assert f"(service baked) (deployment {bad}) deployment failed: alarm detected." in messages
    (described,) = running.client("ecs").list_service_deployments(cluster="main", service="baked")[
        "serviceDeployments"
    ][:1]
    assert described["status"] == "ROLLBACK_SUCCESSFUL"

    until(lambda: not ringing())
    late = running.definition(ANSWER="late")
    running.update("baked", taskDefinition=late)
    running.wait_for_rollout("baked")
    time.sleep(5)  # the bake time is four minutes of this clock
    noise()
    until(ringing)
    time.sleep(1)
    assert running.describe("baked")["taskDefinition"] == late
