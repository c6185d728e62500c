"""The whole line, as a user walks it: deploy, predict, change, break, recover, delete."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import ROOT, Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

SAMPLE = {"sepal_length": 5.2, "sepal_width": 3.6, "petal_length": 1.5, "petal_width": 0.3}
SPECIES = {"setosa", "versicolor", "virginica"}


def post(endpoint: str, body: Any) -> Any:
    request = urllib.request.Request(
        endpoint, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def kind_of(answer: dict[str, Any]) -> str:
    assert answer["species"] in SPECIES
    return f"code {answer.get('code', 1)}"


def aws(cortex: Cortex, service: str, operation: str, **arguments: Any) -> Any:
    """Call the local cloud."""
    return getattr(cortex.aws(service), operation)(**arguments)


def change_code(project: Path, number: int) -> None:
    source = (ROOT / "examples/iris-classifier/predictor.py").read_text()
    changed = source.replace('"species": self', f'"code": {number},\n            "species": self')
    assert changed != source
    (project / "predictor.py").write_text(changed)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    project = shutil.copytree(ROOT / "examples/iris-classifier", tmp_path_factory.mktemp("project") / "iris")
    config = (project / "cortex.yaml").read_text()
    # A fixed number: the traffic below is far above the default target per replica, and would scale the API out.
    fixed = config.replace("min_replicas: 1", "min_replicas: 2").replace("max_replicas: 4", "max_replicas: 2")
    (project / "cortex.yaml").write_text(fixed)
    return project


def test_the_first_deployment_answers(cortex: Cortex, project: Path) -> None:
    printed = cortex.ok("deploy", str(project))
    assert "created iris-classifier (RealtimeAPI)" in printed
    api = cortex.json("get", "iris-classifier")
    assert (api["name"], api["kind"], api["status"]) == ("iris-classifier", "RealtimeAPI", "live")
    assert api["replicas"] == {"requested": 2, "up_to_date": 2, "stale": 0, "failed": 0}
    assert api["endpoint"] in printed
    answer = post(api["endpoint"], SAMPLE)
    assert answer["species"] == "setosa"
    assert 0.9 < answer["probability"] <= 1
    predicted = cortex.ok("predict", "iris-classifier", str(project / "sample.json"))
    assert json.loads(predicted)["species"] == "setosa"
    assert json.loads(cortex.ok("predict", "iris-classifier", "-", stdin=json.dumps(SAMPLE)))["species"] == "setosa"


def test_an_unchanged_deployment_changes_nothing(cortex: Cortex, project: Path) -> None:
    before = aws(cortex, "ecs", "list_task_definitions")["taskDefinitionArns"]
    assert "iris-classifier (RealtimeAPI) is up to date" in cortex.ok("deploy", str(project))
    assert aws(cortex, "ecs", "list_task_definitions")["taskDefinitionArns"] == before


def test_no_request_fails_but_those_in_flight_on_a_killed_replica(
    cortex: Cortex, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = cortex.json("get", "iris-classifier")["endpoint"]
    with Traffic(endpoint, SAMPLE, kind_of) as traffic:
        traffic.wait_for("code 1")
        change_code(project, 2)
        assert "updated iris-classifier" in cortex.ok("deploy", str(project))
        old = traffic.answers.kinds["code 1"]
        traffic.wait_for("code 2")
        assert traffic.answers.kinds["code 1"] == old, "old code answered after the deployment had ended"
        assert traffic.answers.failures == []

        os.killpg(cortex.replicas().pop(), signal.SIGKILL)
        traffic.wait_for("code 2", 100)
        until(lambda: cortex.json("get", "iris-classifier")["replicas"]["up_to_date"] == 2)
        in_flight = len(traffic.answers.failures)

        before = cortex.replicas()
        assert cortex.ok("refresh", "iris-classifier").startswith("updating iris-classifier\n")
        until(lambda: cortex.json("get", "iris-classifier")["status"] == "live" and not before & cortex.replicas())
        traffic.wait_for("code 2")
    with capsys.disabled():
        print(f"\nanswers: {dict(traffic.answers.kinds)}; in flight on the killed replica: {in_flight}")
    assert in_flight <= 8
    assert len(traffic.answers.failures) == in_flight, traffic.answers.failures


def test_a_failed_update_leaves_the_old_revision_serving(cortex: Cortex, project: Path) -> None:
    before = cortex.json("get", "iris-classifier")
    good = (project / "predictor.py").read_text()
    (project / "predictor.py").write_text(
        good.replace("self.model.fit", "raise ValueError('no such iris')\n        self.model.fit")
    )
    with Traffic(before["endpoint"], SAMPLE, kind_of, clients=2) as traffic:
        done = cortex.run("deploy", str(project))
    (project / "predictor.py").write_text(good)
    assert done.returncode == 1
    error = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "ValueError: no such iris" in error
    assert "previous revision keeps serving" in done.stderr
    assert "Traceback" not in done.stderr.split("error: ")[0]
    assert traffic.answers.failures == []
    assert set(traffic.answers.kinds) == {"code 2"}
    after = cortex.json("get", "iris-classifier")
    assert (after["revision"], after["status"]) == (before["revision"], "live")
    assert "up to date" in cortex.ok("deploy", str(project))


def test_the_aws_tools_see_the_truth(cortex: Cortex) -> None:
    services = aws(cortex, "ecs", "describe_services", cluster="cortex-local", services=["iris-classifier"])["services"]
    assert (services[0]["runningCount"], services[0]["desiredCount"]) == (2, 2)
    assert [d["rolloutState"] for d in services[0]["deployments"]] == ["COMPLETED"]
    stack = aws(cortex, "cloudformation", "describe_stacks", StackName="cortex-local-api-iris-classifier")["Stacks"][0]
    group = next(o["OutputValue"] for o in stack["Outputs"] if o["OutputKey"] == "TargetGroupArn")
    health = aws(cortex, "elbv2", "describe_target_health", TargetGroupArn=group)["TargetHealthDescriptions"]
    assert [target["TargetHealth"]["State"] for target in health] == ["healthy", "healthy"]
    events = aws(cortex, "cloudformation", "describe_stack_events", StackName=stack["StackName"])["StackEvents"]
    assert {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"} <= {e["ResourceStatus"] for e in events}
    pages = cortex.aws("logs").get_paginator("filter_log_events").paginate(logGroupName="/cortex/local/iris-classifier")
    assert any("no such iris" in event["message"] for page in pages for event in page["events"])


def test_logs_are_shown(cortex: Cortex) -> None:
    shown = cortex.ok("logs", "iris-classifier", "--no-follow")
    assert "ValueError: no such iris" in shown
    last = cortex.ok("logs", "iris-classifier", "--no-follow", "--tail", "1", "-o", "json").splitlines()
    assert len(last) == 1
    assert json.loads(last[0])["message"]


def test_everything_listens_on_loopback_only(cortex: Cortex) -> None:
    root = cortex.daemon()
    listening = {
        connection.laddr.ip
        for process in (root, *root.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_killed_daemon_brings_every_api_back(cortex: Cortex) -> None:
    before = cortex.json("get", "iris-classifier")
    process = cortex.daemon()
    process.kill()
    process.wait(10)
    cortex.ok("local", "up")
    until(lambda: cortex.json("get", "iris-classifier")["replicas"]["up_to_date"] == 2)
    after = cortex.json("get", "iris-classifier")
    assert {k: after[k] for k in ("endpoint", "revision", "status")} == {
        k: before[k] for k in ("endpoint", "revision", "status")
    }
    assert post(after["endpoint"], SAMPLE)["code"] == 2


def test_stopping_ends_what_a_killed_daemon_left_behind(cortex: Cortex) -> None:
    process = cortex.daemon()
    left = process.children(recursive=True)
    assert left
    process.kill()
    process.wait(10)
    assert cortex.ok("local", "down") == "the local cloud is not running\n"
    _, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []
    cortex.ok("local", "up")


def test_deletion_leaves_nothing(cortex: Cortex) -> None:
    endpoint = cortex.json("get", "iris-classifier")["endpoint"]
    assert cortex.ok("delete", "iris-classifier") == "deleted iris-classifier\n"
    assert cortex.ok("get", "--env", "local") == "no apis are deployed\n"
    until(lambda: not cortex.replicas())
    with pytest.raises(urllib.error.HTTPError) as error:
        post(endpoint, SAMPLE)
    assert error.value.code == 404
    done = cortex.run("delete", "iris-classifier")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: iris-classifier is not deployed")
