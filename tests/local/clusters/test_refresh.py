"""``cortex cluster refresh``: other instances under traffic, and what is said of newer machine images."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from botocore.awsrequest import AWSResponse

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.change import read_configuration
from cortex_cdk.clusters.machine_images import read_machine_images
from cortex_cdk.stack_operations.stack import read_stack
from tests.conftest import CORTEX, Cortex
from tests.local.traffic import Traffic

LOCAL_SPEED = "60"
PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
GROUPS = [
    {"name": "small", "instance_types": ["t3.small"], "min_instances": 2, "max_instances": 2},
    {"name": "idle", "instance_types": ["t3.small"]},
]
"""The two replicas of 900m are spread over two instances, and the group is at its maximum."""


@pytest.fixture(scope="module", autouse=True)
def apis(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An API with two replicas, and one with a single one."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "cluster.yaml").write_text(yaml.safe_dump({"instance_groups": GROUPS}))
    (folder / "predictor.py").write_text(
        "class PythonPredictor:\n"
        "    def __init__(self, config):\n        pass\n"
        "    def predict(self, payload):\n        return payload\n"
    )
    (folder / "cortex.yaml").write_text(yaml.safe_dump([_api("pair", "900m", 2), _api("single", "100m", 1)]))
    cortex.ok("cluster", "up", str(folder / "cluster.yaml"), "--yes")
    cortex.ok("deploy", str(folder))


def _api(name: str, cpu: str, replicas: int) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"cpu": cpu, "mem": "200Mi"},
        "autoscaling": {"min_replicas": replicas, "max_replicas": replicas},
    }


def publish(cortex: Cortex, image: str) -> None:
    """Let AWS recommend another machine image."""
    cortex.aws("ssm").put_parameter(Name=PARAMETER, Value=image, Overwrite=True)


def images(cortex: Cortex) -> dict[str, str]:
    """The image of each instance that runs."""
    found = cortex.aws("ec2").describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    return {one["InstanceId"]: one["ImageId"] for made in found["Reservations"] for one in made["Instances"]}


def scaling_group(cortex: Cortex) -> str:
    groups = cortex.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return next(str(group["AutoScalingGroupName"]) for group in groups if group["Instances"])


@contextmanager
def refreshing(cortex: Cortex) -> Iterator[None]:
    """While instances are being replaced, and nobody waits: the command that began was interrupted."""
    command = subprocess.Popen(
        [CORTEX, "cluster", "refresh", "--yes"],
        env=cortex.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr
    assert any("instances replaced" in line for line in command.stderr)
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 130, said
    yield


def test_every_instance_is_replaced_and_no_request_fails(cortex: Cortex) -> None:
    before = images(cortex)
    assert len(before) == 2
    publish(cortex, "ami-0123456789abcdef1")
    told = cortex.run("cluster", "up")
    assert (told.returncode, told.stdout) == (0, "the cluster local is up to date\n")
    assert "group small: a newer machine image is there (ami-0123456789abcdef1); 2 of 2 instances run an older" in (
        told.stderr
    )
    assert told.stderr.endswith(": cortex cluster refresh\n")
    refused = cortex.run("cluster", "refresh")
    assert (refused.returncode, "nobody can be asked" in refused.stderr) == (1, True)

    endpoints = [api["endpoint"] for api in cortex.json("get")]
    with Traffic(endpoints, {"text": "a"}, lambda _: "answered", clients=4) as traffic:
        done = cortex.json("cluster", "refresh", "--yes")
        traffic.wait_for("answered")
    assert traffic.answers.failures == []

    after = images(cortex)
    assert len(after) == 2
    assert not before.keys() & after.keys()
    assert set(after.values()) == {"ami-0123456789abcdef1"}
    small, idle = done["instance_groups"]
    assert (small["name"], set(small["replaced"]), set(small["instances"])) == ("small", set(before), set(after))
    assert (idle["name"], idle["replaced"], small["image"]) == ("idle", [], "ami-0123456789abcdef1")
    shown = cortex.json("cluster", "info")["instance_groups"][0]["machine_image"]
    assert shown == {
        "newest": "ami-0123456789abcdef1",
        "configured": "ami-0123456789abcdef1",
        "running": {"ami-0123456789abcdef1": 2},
        "outdated": 0,
    }


def test_a_refresh_that_was_interrupted_goes_on_and_the_same_command_waits_for_it(cortex: Cortex) -> None:
    before, autoscaling, group = images(cortex), cortex.aws("autoscaling"), scaling_group(cortex)
    with refreshing(cortex):
        publish(cortex, "ami-0123456789abcdef2")
        refused = cortex.run("cluster", "refresh", "--yes")
        with pytest.raises(autoscaling.exceptions.InstanceRefreshInProgressFault):
            autoscaling.start_instance_refresh(AutoScalingGroupName=group)
        publish(cortex, "ami-0123456789abcdef1")
        done = cortex.run("cluster", "refresh", "--yes")
    assert refused.returncode == 1
    assert "group small are being replaced already, by an image that is not the newest" in refused.stderr
    assert f"aws autoscaling cancel-instance-refresh --auto-scaling-group-name {group}" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert "group small: its instances are being replaced already" in done.stderr
    assert not before.keys() & images(cortex).keys()
    refreshes = autoscaling.describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]
    assert [one["Status"] for one in refreshes] == ["Successful", "Successful"]
    with pytest.raises(autoscaling.exceptions.ActiveInstanceRefreshNotFoundFault):
        autoscaling.cancel_instance_refresh(AutoScalingGroupName=group)


def test_one_group_of_several(cortex: Cortex) -> None:
    before = images(cortex)
    unknown = cortex.run("cluster", "refresh", "--group", "large", "--yes")
    assert (unknown.returncode, "it has: small, idle" in unknown.stderr) == (1, True)
    done = cortex.ok("cluster", "refresh", "--group", "idle", "--yes")
    assert done.splitlines()[-1] == "instance group idle: replaced 0 instances, image ami-0123456789abcdef1"
    assert images(cortex) == before


def test_whoever_may_not_ask_for_images_is_told_less_and_nothing_fails(cortex: Cortex) -> None:
    cloud = Cloud.without_account("us-east-1", cortex.control_url)
    stack = read_stack(cloud, "cortex-local-cluster")
    assert stack
    cluster = read_configuration(cloud, stack)
    for client, name in ((cloud.ssm, "ssm"), (cloud.ec2, "ec2")):
        assert read_machine_images(cloud, cluster, stack)
        client.meta.events.register(f"before-send.{name}", _denied)
    (small, _) = read_machine_images(cloud, cluster, stack)
    assert (small.newest, small.running, small.has_newer) == (None, {}, False)


DENIED = b"<Response><Errors><Error><Code>AccessDenied</Code><Message>No.</Message></Error></Errors></Response>"


def _denied(request: Any, **_: Any) -> Any:
    make: Any = AWSResponse  # its stubs know nothing of how to give it a body
    response = make(request.url, 403, {}, None)
    response._content = DENIED
    return response
