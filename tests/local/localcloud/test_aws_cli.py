"""What the stock AWS CLI sees in the local cloud, before, during and after a rollout that fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import CORTEX, Cortex
from tests.local.localcloud.aws_cli import Aws
from tests.local.traffic import Traffic
from tests.local.waiting import until

PREDICTOR = """
import time
from pathlib import Path

class PythonPredictor:
    def __init__(self, config):
        if config["gate"]:
            while not Path(config["gate"]).exists():
                time.sleep(0.05)
            raise ValueError("no weights")

    def predict(self, payload):
        print("asked for", payload["n"])
        return {"share": 1 / payload["n"]}
"""
STEADY_STATES = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


@pytest.fixture(scope="module")
def cortex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """A local cloud whose alarms and policies look every three seconds."""
    cortex = Cortex(tmp_path_factory.mktemp("home"))
    cortex.environ["CORTEX_LOCAL_SPEED"] = "20"
    yield cortex
    cortex.ok("local", "down")


class Project:
    """The folder of the APIs ``one`` and ``two`` and of the splitter ``both``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = folder / "gate"
        (folder / "predictor.py").write_text(PREDICTOR)
        (folder / ".cortexignore").write_text("gate\n")
        self.write(gate="")

    def write(self, gate: str, rps: float = 1000) -> None:
        """Write the configuration; with a gate ``one`` fails as soon as that file exists."""
        splitter = {
            "name": "both",
            "kind": "TrafficSplitter",
            "apis": [{"name": "one", "weight": 80}, {"name": "two", "weight": 20}],
        }
        (self.folder / "cortex.yaml").write_text(json.dumps([api("one", gate, rps), api("two", "", 1000), splitter]))


def api(name: str, gate: str, rps: float) -> dict[str, Any]:
    scaling = {"max_replicas": 3, "target_replica_requests_per_second": rps, "target_replica_concurrency": 1000}
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"gate": gate}},
        "compute": {"cpu": "50m", "mem": "128Mi"},
        "autoscaling": scaling,
    }


@pytest.fixture(scope="module")
def project(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    cortex.ok("deploy", str(project.folder))
    return project


@pytest.fixture(scope="module")
def aws(cortex: Cortex, project: Project) -> Aws:
    return Aws(cortex.control_url)


@pytest.fixture(scope="module")
def group(aws: Aws) -> str:
    """The target group of ``one``."""
    return aws.output("cortex-local-api-one", "TargetGroupArn")


def until_alarm_is(cortex: Cortex, state: str, name: str) -> None:
    """Wait for the state of an alarm: with boto3, as to start the AWS CLI for each question takes much longer."""
    cloudwatch = cortex.aws("cloudwatch")
    until(lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == state)


def test_services_and_their_deployments(aws: Aws) -> None:
    listed = aws("ecs", "list-services", "--cluster", "cortex-local")["serviceArns"]
    assert sorted(arn.rsplit("/", 1)[-1] for arn in listed) == ["one", "two"]
    service = aws.service("one")
    assert (service["status"], service["desiredCount"], service["runningCount"]) == ("ACTIVE", 1, 1)
    (deployment,) = service["deployments"]
    assert (deployment["status"], deployment["rolloutState"]) == ("PRIMARY", "COMPLETED")
    assert deployment["rolloutStateReason"] == f"ECS deployment {deployment['id']} completed."
    assert service["events"][0]["message"] == "(service one) has reached a steady state."
    providers = aws("ecs", "describe-capacity-providers")["capacityProviders"]
    assert service["capacityProviderStrategy"][0]["capacityProvider"] in {provider["name"] for provider in providers}


def test_target_health(aws: Aws, group: str) -> None:
    (task,) = aws("ecs", "list-tasks", "--cluster", "cortex-local", "--service-name", "one")["taskArns"]
    (described,) = aws("ecs", "describe-tasks", "--cluster", "cortex-local", "--tasks", task)["tasks"]
    answer = aws("elbv2", "describe-target-health", "--target-group-arn", group)
    (target,) = answer["TargetHealthDescriptions"]
    assert target["Target"]["Port"] == described["containers"][0]["networkBindings"][0]["hostPort"]
    assert target["TargetHealth"] == {"State": "healthy"}


def test_rules_with_weights(aws: Aws, group: str) -> None:
    listener = aws.output("cortex-local-cluster", "ListenerArn")
    rules = aws("elbv2", "describe-rules", "--listener-arn", listener)["Rules"]
    by_path = {rule["Conditions"][0]["PathPatternConfig"]["Values"][0]: rule for rule in rules if rule["Conditions"]}
    assert by_path.keys() == {"/one", "/two", "/both"}
    targets = by_path["/both"]["Actions"][0]["ForwardConfig"]["TargetGroups"]
    other = aws.output("cortex-local-api-two", "TargetGroupArn")
    assert {target["TargetGroupArn"]: target["Weight"] for target in targets} == {group: 80, other: 20}
    for name in ("one", "two"):
        assert by_path[f"/{name}"]["Priority"] == aws.output(f"cortex-local-api-{name}", "ListenerRulePriority")

    (alone,) = by_path["/one"]["Actions"][0]["ForwardConfig"]["TargetGroups"]
    assert (alone["TargetGroupArn"], alone["Weight"]) == (group, 1)


def test_tasks_and_services_that_are_not_there(aws: Aws) -> None:
    answer = aws("ecs", "describe-tasks", "--cluster", "cortex-local", "--tasks", "none")
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]
    assert "ServiceNotFoundException" in aws.refused(
        "ecs", "list-tasks", "--cluster", "cortex-local", "--service-name", "none"
    )


def test_an_action_that_the_local_cloud_lacks_is_named(aws: Aws) -> None:
    assert "DescribeAnomalyDetectors" in aws.refused("cloudwatch", "describe-anomaly-detectors")


def test_stack_events_of_each_resource(aws: Aws) -> None:
    resources = aws("cloudformation", "describe-stack-resources", "--stack-name", "cortex-local-api-one")
    made = {resource["LogicalResourceId"] for resource in resources["StackResources"]}
    template = aws("cloudformation", "get-template", "--stack-name", "cortex-local-api-one")["TemplateBody"]
    assert made == template["Resources"].keys()
    history: dict[str, list[str]] = {}
    for event in aws.events("cortex-local-api-one"):
        history.setdefault(event["LogicalResourceId"], []).append(event["ResourceStatus"])
    for name in made:
        assert history[name] == ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert history["cortex-local-api-one"][-1] == "CREATE_COMPLETE"


def test_metrics_and_log_events(cortex: Cortex, aws: Aws, group: str) -> None:
    """As many requests and errors as were sent, counted by the load balancer."""
    endpoint = cortex.json("get", "one")["endpoint"]
    statuses = [requests.post(endpoint, json={"n": n}, timeout=30).status_code for n in [1] * 5 + [0] * 2]
    assert statuses == [200] * 5 + [500] * 2
    dimension = group.rsplit(":", maxsplit=1)[-1]

    def count(metric: str) -> float:
        now = datetime.now(timezone.utc)
        answer = aws(
            *("cloudwatch", "get-metric-statistics", "--namespace", "AWS/ApplicationELB", "--metric-name", metric),
            *("--start-time", (now - timedelta(hours=1)).isoformat(), "--end-time", now.isoformat()),
            *("--period", "3600", "--statistics", "Sum"),
            *("--dimensions", f"Name=TargetGroup,Value={dimension}", f"Name=LoadBalancer,Value={balancer}"),
        )
        return sum(float(point["Sum"]) for point in answer["Datapoints"])

    arn = aws.output("cortex-local-cluster", "LoadBalancerArn")
    balancer = arn.split(":loadbalancer/")[1]
    until(lambda: count("RequestCount") == 7)
    assert (count("HTTPCode_Target_2XX_Count"), count("HTTPCode_Target_5XX_Count")) == (5, 2)

    def messages() -> list[str]:
        events = aws("logs", "filter-log-events", "--log-group-name", "/cortex/local/one")["events"]
        return [json.loads(event["message"]).get("message", "") for event in events if event["message"][0] == "{"]

    until(lambda: messages().count("asked for 1") == 5)
    assert messages().count("asked for 0") == 2


def test_every_graph_of_the_dashboard_finds_its_metrics(aws: Aws) -> None:
    body = json.loads(aws("cloudwatch", "get-dashboard", "--dashboard-name", "cortex-local")["DashboardBody"])
    now = datetime.now(timezone.utc)
    found = {}
    for widget in body["widgets"]:
        ((metric,),) = widget["properties"]["metrics"]
        query = {"Id": "a", "Expression": metric["expression"]}
        answer = aws(
            *("cloudwatch", "get-metric-data", "--metric-data-queries", json.dumps([query])),
            *("--start-time", (now - timedelta(hours=1)).isoformat(), "--end-time", now.isoformat()),
        )
        found[widget["properties"]["title"]] = len(answer["MetricDataResults"])
    rare = {"4XX answers per minute", "5XX answers of the load balancer itself"}
    assert {title for title, count in found.items() if not count} <= rare
    assert found["Healthy replicas"] == 2


def test_alarms(cortex: Cortex, aws: Aws) -> None:
    """Server errors in two of three minutes (of the clock that runs 20 times faster), and back."""
    until_alarm_is(cortex, "OK", "cortex/local/two/errors")
    quiet = aws.alarm("cortex/local/two/errors")
    assert "no datapoints were received for 3 periods" in quiet["StateReason"]
    endpoint = cortex.json("get", "two")["endpoint"]
    with Traffic(endpoint, {"n": 0}, str, clients=1, pause=0.1):
        until_alarm_is(cortex, "ALARM", "cortex/local/two/errors")
        assert "was greater than the threshold (10)" in aws.alarm("cortex/local/two/errors")["StateReason"]
        assert "alarm: More than 10 % of the answers of API two are server errors (since " in cortex.ok("get", "two")
        (off,) = cortex.json("get", "two")["alarms"]
        assert off["name"] == "cortex/local/two/errors"
    until_alarm_is(cortex, "OK", "cortex/local/two/errors")
    assert cortex.json("get", "two")["alarms"] == []


def test_a_rollout_that_fails_while_it_runs_and_afterwards(
    cortex: Cortex, aws: Aws, project: Project, group: str
) -> None:
    before = aws.service("one")
    project.write(gate=str(project.gate))
    deploying = subprocess.Popen(
        [CORTEX, "deploy", str(project.folder)],
        env=cortex.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: len(aws.service("one")["deployments"]) == 2)
        until(lambda: len(aws.targets(group)) == 2)
        _assert_running(aws, group, before)
    finally:
        project.gate.touch()
        _, stderr = deploying.communicate(timeout=120)
    assert deploying.returncode == 1, stderr
    _assert_rolled_back(aws, group, before)
    project.write(gate="")


def _assert_running(aws: Aws, group: str, before: Any) -> None:
    service = aws.service("one")
    new, old = service["deployments"]
    assert (new["status"], new["rolloutState"], new["desiredCount"]) == ("PRIMARY", "IN_PROGRESS", 1)
    assert new["rolloutStateReason"] == f"ECS deployment {new['id']} in progress."
    assert new["taskDefinition"] == service["taskDefinition"] != before["taskDefinition"]
    assert (old["status"], old["id"], old["runningCount"]) == ("ACTIVE", before["deployments"][0]["id"], 1)
    health = {target["State"]: target for target in aws.targets(group)}
    assert "healthy" in health, "the old replica serves"
    (waiting,) = [target for state, target in health.items() if state != "healthy"]
    assert waiting["State"] in {"initial", "unhealthy"}
    assert waiting["Reason"] in {
        "Elb.RegistrationInProgress",
        "Elb.InitialHealthChecking",
        "Target.ResponseCodeMismatch",
    }
    (stack,) = aws("cloudformation", "describe-stacks", "--stack-name", "cortex-local-api-one")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_IN_PROGRESS"
    last = aws.events("cortex-local-api-one")[-1]
    assert (last["ResourceType"], last["ResourceStatus"]) == ("AWS::ECS::Service", "UPDATE_IN_PROGRESS")


def _assert_rolled_back(aws: Aws, group: str, before: Any) -> None:
    service = aws.service("one")
    (deployment,) = service["deployments"]
    assert (deployment["id"], deployment["rolloutState"]) == (before["deployments"][0]["id"], "COMPLETED")
    assert service["taskDefinition"] == before["taskDefinition"]
    told = "\n".join(event["message"] for event in service["events"])
    assert "deployment failed: tasks failed to start." in told
    assert f"rolling back to deployment {deployment['id']}." in told
    assert aws.targets(group) == [{"State": "healthy"}]
    tasks = aws("ecs", "list-tasks", "--cluster", "cortex-local", "--desired-status", "STOPPED")["taskArns"]
    stopped = aws("ecs", "describe-tasks", "--cluster", "cortex-local", "--tasks", *tasks)["tasks"]
    failed = [task for task in stopped if task["group"] == "service:one"]
    assert len(failed) == 2, "the threshold of the circuit breaker"
    for task in failed:
        assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 1)
        assert "ValueError: no weights" in task["containers"][0]["reason"]
    (stack,) = aws("cloudformation", "describe-stacks", "--stack-name", "cortex-local-api-one")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [event for event in aws.events("cortex-local-api-one") if event["ResourceStatus"] == "UPDATE_FAILED"]
    assert [event["ResourceType"] for event in reasons] == ["AWS::ECS::Service"]
    assert "circuit breaker" in reasons[0]["ResourceStatusReason"]
    said = aws("logs", "filter-log-events", "--log-group-name", "/cortex/local/one", "--filter-pattern", '"no weights"')
    streams = {event["logStreamName"].split("/")[1] for event in said["events"]}
    assert streams == {task["taskArn"].rsplit("/", 1)[-1] for task in failed}
    said = aws(
        "logs", "filter-log-events", "--log-group-name", "/cortex/local/one", "--filter-pattern", "INFO listening"
    )
    records = [json.loads(event["message"]) for event in said["events"]]
    assert records
    assert {(record["level"], record["event"]) for record in records} == {("INFO", "listening")}


def test_scaling_policies_and_activities(cortex: Cortex, aws: Aws, project: Project) -> None:
    project.write(gate="", rps=2)
    cortex.ok("deploy", str(project.folder))
    (target,) = aws(
        *("application-autoscaling", "describe-scalable-targets", "--service-namespace", "ecs"),
        *("--resource-ids", "service/cortex-local/one"),
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    policies = aws(
        *("application-autoscaling", "describe-scaling-policies", "--service-namespace", "ecs"),
        *("--resource-id", "service/cortex-local/one"),
    )["ScalingPolicies"]
    tracked = [policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies]
    (counting,) = [p for p, configuration in zip(policies, tracked, strict=True) if configuration["TargetValue"] == 120]
    assert counting["PolicyName"] == "RequestsPerTarget", "two requests a second"
    high = counting["Alarms"][0]["AlarmName"]
    prefix = ("--alarm-name-prefix", "TargetTracking-service/cortex-local/one-")
    alarms = {alarm["AlarmName"] for alarm in aws("cloudwatch", "describe-alarms", *prefix)["MetricAlarms"]}
    assert alarms == {alarm["AlarmName"] for p in policies for alarm in p["Alarms"]}, (
        "those of changed policies are gone"
    )

    named = ("--policy-names", counting["PolicyName"], "--resource-id", "service/cortex-local/one")
    (found,) = aws("application-autoscaling", "describe-scaling-policies", "--service-namespace", "ecs", *named)[
        "ScalingPolicies"
    ]
    assert found["PolicyARN"] == counting["PolicyARN"]

    def activities(*paging: str) -> list[Any]:
        answer = aws(
            *("application-autoscaling", "describe-scaling-activities", "--service-namespace", "ecs"),
            *("--resource-id", "service/cortex-local/one", *paging),
        )
        return list(answer["ScalingActivities"])

    with Traffic(cortex.json("get", "one")["endpoint"], {"n": 1}, str, clients=2):
        until_alarm_is(cortex, "ALARM", high)
        assert "was greater than the threshold (120)" in aws.alarm(high)["StateReason"]
        until(activities)
        until(lambda: aws.service("one")["runningCount"] == 3)
    newest = activities()[0]
    assert (newest["StatusCode"], newest["Description"]) == ("Successful", "Setting desired count to 3.")
    assert newest["Cause"] == f"monitor alarm {high} in state ALARM triggered policy {counting['PolicyName']}"
    identity = {name: target[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    cortex.aws("application-autoscaling").register_scalable_target(**identity, MaxCapacity=2)
    until(lambda: len(activities()) > 1)
    assert activities("--page-size", "1") == activities()
