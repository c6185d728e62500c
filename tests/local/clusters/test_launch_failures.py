"""EC2 launches nothing: ``cluster up``, ``deploy``, ``get`` and ``cluster info`` say why, and what to do."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.conftest import CORTEX, Cortex
from tests.local.faults import fail_launches, let_launch
from tests.local.waiting import until

LOCAL_SPEED = "60"
SMALL = {"name": "small", "instance_types": ["t3.small"], "min_instances": 1, "max_instances": 2}
"""2048 CPU units an instance: room for one replica of 1800m."""
VCPUS = "the account may have no more than 0 vCPUs of this family of instances"
ASK = "ask for more in the Service Quotas console"


@pytest.fixture(scope="module")
def cluster_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    file.write_text(yaml.safe_dump({"instance_groups": [SMALL]}))
    return str(file)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("project")
    (folder / "predictor.py").write_text(
        "class PythonPredictor:\n"
        "    def __init__(self, config):\n        pass\n"
        "    def predict(self, payload):\n        return payload\n"
    )
    api = {
        "name": "text",
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"cpu": "1800m", "mem": "200Mi"},
        "autoscaling": {"min_replicas": 2, "max_replicas": 2},
    }
    (folder / "cortex.yaml").write_text(yaml.safe_dump([api]))
    return str(folder)


def test_up_says_while_it_waits_and_when_it_fails_why_no_instance_starts(cortex: Cortex, cluster_file: str) -> None:
    cortex.ok("local", "up")
    fail_launches(cortex.control_url)
    done = cortex.run("cluster", "up", cluster_file, "--yes")
    let_launch(cortex.control_url)
    assert done.returncode == 1
    assert f"cluster local: auto scaling group (small) cannot start an instance: {VCPUS}: {ASK}" in done.stderr
    error = f"error: the cluster 'local' could not be deployed, because no instance could be started: {VCPUS}\n"
    assert error in done.stderr
    assert "Group did not stabilize" in done.stderr.partition("error: ")[2], "what CloudFormation says stays readable"
    assert f"hint: nothing of it was kept; {ASK}" in done.stderr

    assert "is ready at" in cortex.ok("cluster", "up", cluster_file, "--yes")
    (group,) = cortex.json("cluster", "info")["instance_groups"]
    assert (group["running"], group["launch_failure"]) == (1, None), "what failed before was of another need"


def test_a_replica_without_an_instance_says_why_none_starts(cortex: Cortex, cluster_file: str, project: str) -> None:
    del cluster_file
    (group,) = cortex.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    fail_launches(cortex.control_url, group["AutoScalingGroupName"], "InvalidParameterCombination")
    deploy = subprocess.Popen([CORTEX, "deploy", project], env=cortex.environ, stderr=subprocess.PIPE, text=True)
    try:
        assert deploy.stderr
        said = next(line for line in deploy.stderr if "cannot start an instance" in line)
        (api,) = cortex.json("get")
        shown = cortex.ok("get", "text")
        info = cortex.ok("cluster", "info")
        (state,) = cortex.json("cluster", "info")["instance_groups"]
    finally:
        let_launch(cortex.control_url, group["AutoScalingGroupName"])
    _, rest = deploy.communicate(timeout=120)
    assert deploy.returncode == 0, rest

    words = (
        "instance group small cannot start an instance (1 of at most 2 run): "
        "the account's plan does not include this instance type: upgrade the account's plan"
    )
    assert words in said
    assert words in api["reason"]
    assert words in " ".join(shown.split())
    assert "small cannot start an instance: the account's plan does not include this instance type" in info
    assert state["launch_failure"]["message"].startswith("The specified instance type is not eligible for Free Tier.")
    assert cortex.json("get")[0]["status"] == "live"
    assert "cannot start" not in cortex.ok("cluster", "info")


def members(cortex: Cortex) -> dict[str, str | None]:
    """The capacity provider of each container instance."""
    ecs = cortex.aws("ecs")
    arns = ecs.list_container_instances(cluster="cortex-local")["containerInstanceArns"]
    found = ecs.describe_container_instances(cluster="cortex-local", containerInstances=arns) if arns else {}
    return {one["ec2InstanceId"]: one.get("capacityProviderName") for one in found.get("containerInstances", [])}


def test_up_replaces_an_instance_that_counts_for_no_capacity_provider(cortex: Cortex, cluster_file: str) -> None:
    """As one does that was launched before the group had the tag of ECS."""
    del cluster_file
    cortex.ok("delete", "text", "--force")
    autoscaling = cortex.aws("autoscaling")
    (group,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    name, old = group["AutoScalingGroupName"], set(members(cortex))
    of_group = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": "AmazonECSManaged"}
    autoscaling.delete_tags(Tags=[of_group])
    for instance in old:
        autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=False)
    until(lambda: members(cortex) and not old & set(members(cortex)))
    nameless = {one for one, provider in members(cortex).items() if provider is None}
    assert nameless
    autoscaling.create_or_update_tags(Tags=[{**of_group, "Value": "true", "PropagateAtLaunch": True}])

    done = cortex.run("cluster", "up", "--yes")
    assert done.returncode == 0, done.stderr
    said = "does not carry the name of its capacity provider, so ECS places no replica there: it is replaced"
    assert any(f"instances: {one} {said}" in done.stderr for one in nameless)
    until(lambda: members(cortex) and set(members(cortex).values()) == {"cortex-local_small"})
    assert "does not carry" not in cortex.run("cluster", "up", "--yes").stderr
