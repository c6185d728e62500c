"""The daemon and its launcher: started once, found again, guarded, and clear when they cannot start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.endpoint import HEALTH_PATH, DaemonInfo, Endpoint
from cortex_cdk.localcloud.settings import Settings
from tests.local.localcloud.stacks import client, running

SIGNED = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("daemon") / "local") as endpoint:
        yield endpoint


def answer(endpoint: Endpoint, path: str, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(endpoint.control_url + path, headers=named)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_several_launchers_at_once_start_one_daemon(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "local", control_port=0, http_port=0)
    found: list[Endpoint] = []
    threads = [threading.Thread(target=lambda: found.append(launcher.ensure_running(settings))) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 3
        assert len(set(found)) == 1
        assert launcher.status(settings) == found[0]
    finally:
        assert launcher.stop(settings) is True
    assert launcher.status(settings) is None
    assert launcher.stop(settings) is False


def test_free_ports_are_kept_over_a_restart(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "local", control_port=0, http_port=0)
    try:
        first = launcher.ensure_running(settings)
        launcher.stop(settings)
        second = launcher.ensure_running(settings)
    finally:
        launcher.stop(settings)
    assert replace(first, pid=0) == replace(second, pid=0)
    assert first.pid != second.pid


def test_an_answer_that_has_begun_is_finished_when_it_stops(tmp_path: Path) -> None:
    settings, size = Settings(state=tmp_path / "local", control_port=0, http_port=0), 32 * 2**20
    endpoint = launcher.ensure_running(settings)
    try:
        s3 = client(endpoint, "s3")
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key="large", Body=bytes(size))
        body = s3.get_object(Bucket="models", Key="large")["Body"]
        first = body.read(1000)
        stopping = threading.Thread(target=launcher.stop, args=(settings,))
        stopping.start()
        # Without anything that reads, it can be sent at the end only.
        while launcher.status(settings):
            pass
        assert len(first) + len(body.read()) == size
        stopping.join()
    finally:
        launcher.stop(settings)


@pytest.mark.parametrize(
    ("field", "variable"), [("control_port", "CORTEX_LOCAL_PORT"), ("http_port", "CORTEX_LOCAL_HTTP_PORT")]
)
def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path, field: str, variable: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = replace(Settings(state=tmp_path / "local", control_port=0, http_port=0), **{field: port})
        with pytest.raises(LocalCloudError) as refusal:
            launcher.ensure_running(settings)
    assert f"Port {port} on 127.0.0.1 is in use" in refusal.value.message
    assert f"{variable}=" in (refusal.value.hint or "")
    assert launcher.status(settings) is None


def test_an_early_death_is_reported_with_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moto").mkdir()
    (tmp_path / "moto" / "__init__.py").write_text("raise RuntimeError('moto is broken here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LocalCloudError, match="ended while starting: RuntimeError: moto is broken here"):
        launcher.ensure_running(Settings(state=tmp_path / "local", control_port=0, http_port=0))


def test_a_left_over_file_of_another_process_deceives_nobody(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, control_port=0, http_port=0)
    DaemonInfo(pid=os.getpid(), control_port=9, http_port=9, version="0", state=str(tmp_path)).write(tmp_path)
    assert launcher.status(settings) is None
    # Were it believed, this would end the test's own process.
    assert launcher.stop(settings) is False


def test_another_local_cloud_on_the_port_is_not_taken_for_ours(cloud: Endpoint, tmp_path: Path) -> None:
    port = int(cloud.control_url.rsplit(":", 1)[1])
    DaemonInfo(pid=cloud.pid, control_port=port, http_port=9, version="0", state=str(tmp_path)).write(tmp_path)
    assert launcher.status(Settings(state=tmp_path, control_port=0, http_port=0)) is None


def test_a_second_daemon_of_the_same_state_refuses(cloud: Endpoint) -> None:
    state = json.loads(answer(cloud, "/_cortex/health")[1])["state"]
    done = subprocess.run(
        [sys.executable, "-m", "cortex_cdk.localcloud", f"--state={state}", "--control-port=0", "--http-port=0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == launcher.REFUSED
    assert done.stderr.startswith(f"Another local cloud already uses {state}.")


def test_the_launcher_is_light() -> None:
    heavy = (
        "import sys, cortex_cdk.localcloud.launcher; print({'moto', 'boto3', 'waitress', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_health_says_who_answers(cloud: Endpoint) -> None:
    status, body = answer(cloud, "/_cortex/health")
    assert status == 200
    info = json.loads(body)
    assert (info["pid"], info["notice"]) == (cloud.pid, None)
    assert info["control_port"] == int(cloud.control_url.rsplit(":", 1)[1])


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:4566"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/_cortex/health", "/?Action=DescribeStacks", "/v4/x/task"])
def test_web_pages_get_no_answer(cloud: Endpoint, path: str, headers: dict[str, str]) -> None:
    status, body = answer(cloud, path, **headers)
    assert status == 403
    assert b"local cloud" in body


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "bucket.localhost", "[::1]:4566"])
def test_names_of_this_machine_are_answered(cloud: Endpoint, host: str) -> None:
    assert answer(cloud, "/_cortex/health", Host=host)[0] == 200


def test_answers_allow_no_origin(cloud: Endpoint) -> None:
    request = urllib.request.Request(cloud.control_url + "/_cortex/health")
    with urllib.request.urlopen(request) as response:
        assert "access-control-allow-origin" not in {name.lower() for name in response.headers}
    client(cloud, "s3").create_bucket(Bucket="no-cors")
    request = urllib.request.Request(cloud.control_url + "/no-cors", headers={"Authorization": SIGNED})
    with urllib.request.urlopen(request) as response:
        assert "access-control-allow-origin" not in {name.lower() for name in response.headers}


def test_motos_own_reset_is_switched_off(cloud: Endpoint) -> None:
    request = urllib.request.Request(cloud.control_url + "/moto-api/reset", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request)


def test_an_unknown_task_has_no_metadata(cloud: Endpoint) -> None:
    assert answer(cloud, "/v4/0123456789abcdef/task")[0] == 404


def test_the_stock_aws_cli_works(cloud: Endpoint) -> None:
    aws = str(Path(sys.executable).parent / "aws")
    environ = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [aws, "--endpoint-url", cloud.control_url, "cloudformation", "describe-stacks", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert json.loads(done.stdout) == {"Stacks": []}


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "local"])
def test_there_is_one_region_whatever_a_client_is_configured_for(cloud: Endpoint, region: str) -> None:
    ecs = client(cloud, "ecs", region)
    ecs.create_cluster(clusterName=f"from-{region}")
    assert f"arn:aws:ecs:us-east-1:123456789012:cluster/from-{region}" in ecs.list_clusters()["clusterArns"]


@pytest.mark.parametrize(
    ("service", "action", "arguments"),
    [
        ("elbv2", "describe_trust_stores", {}),
        ("ecs", "get_task_protection", {"cluster": "local"}),
        ("ec2", "describe_trunk_interface_associations", {}),
    ],
)
def test_tools_can_read_that_an_action_is_unknown(
    cloud: Endpoint, service: str, action: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(client(cloud, service), action)(**arguments)
    response = refused.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("NotImplemented", 501)
    assert "The local cloud does not know the action" in response["Error"]["Message"]


@pytest.mark.parametrize(
    "authorization", [None, "Basic bG9jYWw6bG9jYWw=", "AWS local:abc", "Bearer x", "AWS4-HMAC-SHA256x y"]
)
def test_only_signed_requests_reach_moto(cloud: Endpoint, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    status, body = answer(cloud, "/?Action=ListUsers&Version=2010-05-08", **headers)
    assert status == 403
    assert b"MissingAuthenticationToken" in body


def test_presigned_urls_are_answered(cloud: Endpoint) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=cloud.control_url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(signature_version="s3v4"),
    )
    s3.create_bucket(Bucket="signed")
    s3.put_object(Bucket="signed", Key="a", Body=b"content")
    url = s3.generate_presigned_url("get_object", {"Bucket": "signed", "Key": "a"})
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"content"


def test_the_connections_of_very_many_replicas_keep_nobody_waiting(cloud: Endpoint) -> None:
    port = int(cloud.control_url.rpartition(":")[2])
    with ExitStack() as kept:
        for _ in range(300):
            kept.enter_context(socket.create_connection(("127.0.0.1", port)))

        # Idle connections end after two minutes.
        with urllib.request.urlopen(f"{cloud.control_url}{HEALTH_PATH}?nonce=n", timeout=60) as response:
            assert response.status == 200
