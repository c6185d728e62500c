"""What the code of replicas may do in AWS: as much as ``predictor.iam_policies`` says, here as on ECS."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.conftest import Cortex
from tests.local.waiting import until

LOCAL_SPEED = "20"
ACCOUNT = "123456789012"
PREDICTOR = """
import boto3
from botocore.exceptions import ClientError


class PythonPredictor:
    def __init__(self, config):
        self.clients = {}

    def predict(self, payload):
        service, operation, arguments = payload
        client = self.clients.setdefault(service, boto3.client(service))
        try:
            answer = getattr(client, operation)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Message"]
        return "done" if "Body" not in answer else answer["Body"].read().decode()
"""
READS_AT_START = """
import boto3


class PythonPredictor:
    def __init__(self, config):
        boto3.client("s3").get_object(Bucket="features", Key="a")

    def predict(self, payload):
        return payload
"""
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::features/*"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "predictor.py").write_text(PREDICTOR)
    return folder


@pytest.fixture(scope="module")
def content(cortex: Cortex) -> str:
    """Things to read; the ARN of a key."""
    cortex.ok("local", "up")
    s3 = cortex.aws("s3")
    s3.create_bucket(Bucket="features")
    key: str = cortex.aws("kms").create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket="features", Key="a", Body=b"content")
    s3.put_object(Bucket="features", Key="private/a", Body=b"private")
    s3.put_object(Bucket="features", Key="encrypted", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    cortex.aws("secretsmanager").create_secret(Name="token", SecretString="secret")
    cortex.aws("ssm").put_parameter(Name="/features/a", Value="1", Type="String")
    return key


def api(name: str, *policies: Any) -> dict[str, Any]:
    predictor = {"type": "python", "path": "predictor.py", "iam_policies": list(policies)}
    return {"name": name, "kind": "RealtimeAPI", "predictor": predictor, "compute": {"cpu": "50m", "mem": "256Mi"}}


def deploy(cortex: Cortex, project: Path, *apis: dict[str, Any]) -> None:
    (project / "cortex.yaml").write_text(json.dumps(apis))
    cortex.ok("deploy", str(project), "--yes")


@cache
def endpoint(cortex: Cortex, name: str) -> str:
    found: str = cortex.json("get", name)["endpoint"]
    return found


def call(cortex: Cortex, name: str, service: str, operation: str, **arguments: Any) -> str:
    answer = requests.post(endpoint(cortex, name), json=[service, operation, arguments], timeout=60)
    return answer.text


def denied(action: str, resource: str) -> str:
    return f"is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows"


def test_replicas_may_what_their_statements_allow(cortex: Cortex, project: Path, content: str) -> None:
    deploy(
        cortex,
        project,
        api("none"),
        api(
            "some",
            READ,
            {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::features/private/*"},
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": "cloudwatch:PutMetricData",
                "Resource": "*",
                "Condition": {"StringEquals": {"cloudwatch:namespace": "Features"}},
            },
        ),
    )
    get = {"service": "s3", "operation": "get_object", "Bucket": "features"}
    message = call(cortex, "none", **get, Key="a")
    assert denied("s3:GetObject", '"arn:aws:s3:::features/a"') in message
    assert ":assumed-role/cortex-local-api-none-" in message
    assert call(cortex, "some", **get, Key="a") == "content"
    assert "with an explicit deny in an identity-based policy" in call(cortex, "some", **get, Key="private/a")
    assert denied("s3:ListBucket", '"arn:aws:s3:::features"') in call(cortex, "some", **get, Key="none")
    assert denied("kms:Decrypt", content) in call(cortex, "some", **get, Key="encrypted")
    assert call(cortex, "some", "secretsmanager", "get_secret_value", SecretId="token") == "done"
    assert "secretsmanager:GetSecretValue" in call(
        cortex, "none", "secretsmanager", "get_secret_value", SecretId="token"
    )
    metric = {"MetricData": [{"MetricName": "m", "Value": 1.0}]}
    assert call(cortex, "some", "cloudwatch", "put_metric_data", Namespace="Features", **metric) == "done"
    assert "cloudwatch:PutMetricData" in call(cortex, "some", "cloudwatch", "put_metric_data", Namespace="X", **metric)
    parameter = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/features/a"
    assert denied("ssm:GetParameter", parameter) in call(cortex, "some", "ssm", "get_parameter", Name="/features/a")


def test_replicas_read_no_project_of_another_api(cortex: Cortex, content: str) -> None:
    [bucket] = [b["Name"] for b in cortex.aws("s3").list_buckets()["Buckets"] if b["Name"] != "features"]
    listed = cortex.aws("s3").list_objects_v2(Bucket=bucket, Prefix="projects/")["Contents"]
    keys = {entry["Key"].split("/")[1]: entry["Key"] for entry in listed}
    head = {"service": "s3", "operation": "head_object", "Bucket": bucket}
    assert call(cortex, "none", **head, Key=keys["none"]) == "done"
    # HEAD has no body, so that S3 gives no reason.
    assert call(cortex, "none", **head, Key=keys["some"]) == "Forbidden"
    stored = cortex.aws("s3").list_objects_v2(Bucket=bucket, Prefix="configurations/")["Contents"][0]["Key"]
    assert call(cortex, "none", **head, Key=stored) == "Forbidden"


def test_logs_and_metrics_of_replicas_arrive(cortex: Cortex, content: str) -> None:
    call(cortex, "some", "sts", "get_caller_identity")

    def has_arrived() -> bool:
        lines = [json.loads(line) for line in cortex.ok("logs", "some", "--no-follow", "-o", "json").splitlines()]
        metrics = cortex.aws("cloudwatch").list_metrics(Namespace="Cortex")["Metrics"]
        apis = {dimension["Value"] for metric in metrics for dimension in metric["Dimensions"]}
        return any(line.get("status") == 200 for line in lines) and "some" in apis

    until(has_arrived)


def test_a_missing_permission_is_told_with_the_lines_to_add(cortex: Cortex, tmp_path: Path, content: str) -> None:
    """By the deployment that fails, and by the log; with these lines it works."""
    (tmp_path / "reading.py").write_text(READS_AT_START)
    reading = api("reading")
    reading["predictor"]["path"] = "reading.py"
    (tmp_path / "cortex.yaml").write_text(json.dumps([reading]))
    failed = cortex.run("deploy", str(tmp_path), "--yes")
    assert failed.returncode == 1
    start = "add to cortex.yaml: predictor.iam_policies: "
    missing = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::features/a"}
    assert start in failed.stderr, failed.stderr
    [written] = yaml.safe_load(" ".join(failed.stderr.partition(start)[2].split()).partition("]")[0] + "]")
    assert written == missing
    assert start in cortex.run("logs", "reading", "--no-follow").stderr
    reading["predictor"]["iam_policies"] = [written]
    deploy(cortex, tmp_path, reading)


def test_more_permissions_restart_no_replica(cortex: Cortex, project: Path, content: str) -> None:
    before = cortex.replicas("some")
    deploy(
        cortex,
        project,
        api("none"),
        api(
            "some",
            "arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess",
            READ,
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": content},
        ),
    )
    assert cortex.replicas("some") == before
    get = {"service": "s3", "operation": "get_object", "Bucket": "features"}
    assert call(cortex, "some", **get, Key="encrypted") == "x"
    assert call(cortex, "some", "ssm", "get_parameter", Name="/features/a") == "done"
    # What is no longer allowed.
    assert "secretsmanager:GetSecretValue" in call(
        cortex, "some", "secretsmanager", "get_secret_value", SecretId="token"
    )
    who = call(cortex, "some", "sts", "get_caller_identity")
    assert who == "done"


def test_a_policy_that_does_not_exist_is_named_before_anything_is_made(cortex: Cortex, project: Path) -> None:
    known = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    gone = ["arn:aws:iam::aws:policy/AmazonS3ReadOnly", "arn:aws:iam::123456789012:policy/not-made"]
    (project / "cortex.yaml").write_text(json.dumps([api("first", known, *gone), api("second", known)]))
    done = cortex.run("deploy", str(project), "--yes")
    assert done.returncode == 1
    assert [arn in done.stderr and f"{arn} does not exist" in done.stderr for arn in gone] == [True, True]
    assert f"{known} " not in done.stderr
    assert "list-policies" in done.stderr
    assert not {"first", "second"} & {found["name"] for found in cortex.json("get", "--env", "local")}
