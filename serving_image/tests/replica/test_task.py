"""A replica as a task of a cluster: project from S3, logs to CloudWatch (both answered by moto)."""

from __future__ import annotations

import io
import json
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cortex_serving.errors import ProjectError
from cortex_serving.project import unpack
from tests.conftest import eventually, running

CODE = """
class PythonPredictor:
    def __init__(self, config): print("built on " + __file__)
    def predict(self, payload): return payload
"""

PRINTS = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload): print(payload)
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


def _client(aws: dict[str, str], service: str) -> Any:
    # boto3's overloads want the service's name as a literal.
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def _archive(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name, text)
    return content.getvalue()


def _environ(aws: dict[str, str], key: str) -> dict[str, str]:
    spec = {"name": "iris", "endpoint": "/iris", "predictor": {"type": "python", "path": "predictor.py"}}
    return {
        **aws,
        "CORTEX_CLUSTER": "test",
        "CORTEX_API": "iris",
        "CORTEX_REVISION": "r1",
        "CORTEX_PROJECT": f"s3://bucket/{key}",
        "CORTEX_SPEC": json.dumps(spec),
        "CORTEX_LOG_GROUP": "/cortex/test/iris",
        "CORTEX_LISTEN": "127.0.0.1:0",
    }


def test_project_from_s3_and_logs_to_cloudwatch(aws: dict[str, str], tmp_path: Path) -> None:
    s3, logs = _client(aws, "s3"), _client(aws, "logs")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="projects/a.zip", Body=_archive({"predictor.py": CODE}))
    logs.create_log_group(logGroupName="/cortex/test/iris")
    with running([], {**_environ(aws, "projects/a.zip"), "TMPDIR": str(tmp_path)}) as replica:
        assert replica.post({"a": 1}).json() == {"a": 1}
        assert replica.post(1).headers["X-Cortex-Revision"] == "r1"
        eventually(lambda: len(_shipped(logs)) >= 3)
        assert replica.stop() == 0
        shipped = _shipped(logs)
        assert shipped == replica.lines, "standard output and CloudWatch must show the same lines in the same order"
        assert shipped[-1]["event"] == "stopped"
    assert not list(tmp_path.iterdir()), "the unpacked project must not be left behind"


@pytest.mark.parametrize("gone", ["group", "stream"])
def test_a_deleted_log_group_or_stream_loses_nothing_once_it_is_back(aws: dict[str, str], gone: str) -> None:
    s3, logs = _client(aws, "s3"), _client(aws, "logs")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="projects/gone.zip", Body=_archive({"predictor.py": PRINTS}))
    group = {"logGroupName": f"/cortex/test/{gone}"}
    logs.create_log_group(**group)
    environ = {**_environ(aws, "projects/gone.zip"), "CORTEX_LOG_GROUP": group["logGroupName"]}

    def printed() -> list[str]:
        if not logs.describe_log_groups(logGroupNamePrefix=group["logGroupName"])["logGroups"]:
            return []
        messages = [json.loads(event["message"]) for event in logs.filter_log_events(**group)["events"]]
        return [record["message"] for record in messages if record.get("source") == "stdout"]

    with running([], environ) as replica:
        replica.post("before")
        eventually(lambda: "before" in printed())
        if gone == "group":
            logs.delete_log_group(**group)
        else:
            (stream,) = logs.describe_log_streams(**group)["logStreams"]
            logs.delete_log_stream(**group, logStreamName=stream["logStreamName"])
        replica.post("meanwhile")
        if gone == "group":
            time.sleep(3)  # longer than watchtower tries by itself
            logs.create_log_group(**group)
        eventually(lambda: "meanwhile" in printed())
        replica.post("after")
        eventually(lambda: "after" in printed())
        assert replica.stop() == 0


def test_without_a_log_group_a_replica_serves_and_stops(aws: dict[str, str]) -> None:
    s3 = _client(aws, "s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="projects/unlogged.zip", Body=_archive({"predictor.py": CODE}))
    with running([], {**_environ(aws, "projects/unlogged.zip"), "CORTEX_LOG_GROUP": "/cortex/test/none"}) as replica:
        assert replica.post(1).json() == 1
        assert replica.stop() == 0


def _shipped(logs: Any) -> list[dict[str, Any]]:
    streams = logs.describe_log_streams(logGroupName="/cortex/test/iris")["logStreams"]
    assert all(stream["logStreamName"].startswith("r1/") for stream in streams)
    events = logs.filter_log_events(logGroupName="/cortex/test/iris")["events"] if streams else []
    return [json.loads(event["message"]) for event in events]


def test_a_missing_archive_ends_the_replica(aws: dict[str, str]) -> None:
    with running([], {**_environ(aws, "projects/none.zip"), "CORTEX_LOG_GROUP": ""}, ready=False) as replica:
        assert replica.process.wait(20) == 1
        replica.stop()
        assert "cannot fetch the project from s3://bucket/projects/none.zip" in replica.lines[-1]["message"]


def test_cloudwatch_out_of_reach_does_not_touch_serving(aws: dict[str, str], tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "predictor.py").write_text(CODE)
    environ = {**_environ(aws, ""), "CORTEX_PROJECT": str(project), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    with running([], environ) as replica:
        for n in range(50):
            assert replica.post(n).json() == n
        assert replica.stop() == 0


def test_unpacking_refuses_what_leaves_the_folder(tmp_path: Path) -> None:
    for name in ("../evil", "/evil", "a/../../evil"):
        with pytest.raises(ProjectError, match="leaves its folder"):
            unpack(_archive({name: "x"}), tmp_path / "in")
    assert not (tmp_path / "evil").exists()


def test_unpacking_refuses_links_and_damage(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(ProjectError, match="link"):
        unpack(content.getvalue(), tmp_path)
    with pytest.raises(ProjectError, match="cannot unpack"):
        unpack(b"not a zip", tmp_path)
