"""The stock CDK toolkit, with nothing but ``AWS_ENDPOINT_URL``, deploys cluster and API, and destroys both."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex_cdk.synthesis.synthesize import node
from tests.conftest import ROOT, Cortex

LOCAL_SPEED = "30"
INSTALLED = ".toolkit/node_modules/.bin/cdk"
GROUP = {"name": "cpu", "instance_types": ["m6i.large"], "min_instances": 1, "max_instances": 1}
API = {
    "name": "a",
    "kind": "RealtimeAPI",
    "predictor": {"type": "python", "path": "predictor.py"},
    "compute": {"cpu": "100m", "mem": "200Mi"},
}
PREDICTOR = """class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""


class Toolkit:
    """Runs ``cdk`` as its users do."""

    def __init__(self, cortex: Cortex, outdir: Path) -> None:
        self._outdir = outdir
        self._environ = {
            **cortex.environ,
            "PATH": f"{node().parent}:{cortex.environ['PATH']}",
            "HOME": str(outdir.parent),
            "AWS_PROFILE": "",
            "AWS_ENDPOINT_URL": cortex.control_url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }

    def synth(self, **context: str) -> None:
        self._run("synth", "--quiet", *(part for key, value in context.items() for part in ("-c", f"{key}={value}")))

    def deploy(self, stack: str, parameters: Mapping[str, str]) -> None:
        given = [part for key, value in parameters.items() for part in ("--parameters", f"{key}={value}")]
        self._run("deploy", stack, "--app", str(self._outdir), "--require-approval", "never", *given)

    def destroy(self, stack: str) -> None:
        self._run("destroy", stack, "--app", str(self._outdir), "--force")

    def _run(self, *arguments: str) -> None:
        command = [str(ROOT / INSTALLED), *arguments, "--output", str(self._outdir), "--no-notices"]
        environ = {name: value for name, value in self._environ.items() if value}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def toolkit(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Toolkit:
    made = subprocess.run(["make", "--silent", INSTALLED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    cortex.ok("local", "up")
    return Toolkit(cortex, tmp_path_factory.mktemp("toolkit") / "cdk.out")


def let_instances_go(autoscaling: Any) -> None:
    """What docs/permissions.md says before ``cdk destroy`` of a cluster: ECS leaves its instances protected."""
    for group in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        name, ids = group["AutoScalingGroupName"], [one["InstanceId"] for one in group["Instances"]]
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, NewInstancesProtectedFromScaleIn=False)
        if ids:
            autoscaling.set_instance_protection(AutoScalingGroupName=name, InstanceIds=ids, ProtectedFromScaleIn=False)


def test_the_toolkit_deploys_and_destroys_cluster_and_api(cortex: Cortex, toolkit: Toolkit, tmp_path: Path) -> None:
    cluster, project = tmp_path / "cluster.yaml", tmp_path / "project"
    cluster.write_text(yaml.safe_dump({"name": "kit", "instance_groups": [GROUP]}))
    project.mkdir()
    (project / "cortex.yaml").write_text(yaml.safe_dump([API]))
    (project / "predictor.py").write_text(PREDICTOR)
    toolkit.synth(cluster=str(cluster))
    toolkit.deploy("cortex-kit-cluster", {})
    cortex.ok("env", "configure", "kit", "--cluster", "kit", "--endpoint-url", cortex.control_url)
    # `cortex deploy` builds the image and uploads the project; the parameters say where they are.
    cortex.environ.update({"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"})
    cortex.ok("deploy", str(project), "--env", "kit", "--yes")
    cloudformation = cortex.aws("cloudformation")
    [stack] = cloudformation.describe_stacks(StackName="cortex-kit-api-a")["Stacks"]
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    s3 = cortex.aws("s3")
    [bucket] = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    archive = s3.get_object(Bucket=bucket, Key=parameters["ProjectKey"])["Body"].read()
    cortex.ok("delete", "a", "--env", "kit")
    # Deleting an API takes its archives along.
    s3.put_object(Bucket=bucket, Key=parameters["ProjectKey"], Body=archive)

    toolkit.synth(cluster=str(cluster), config=str(project / "cortex.yaml"), environment="kit")
    toolkit.deploy("cortex-kit-api-a", {**parameters, "InitialReplicas": "1"})
    assert json.loads(cortex.ok("predict", "a", "-", "--env", "kit", stdin='{"x": 1}')) == {"x": 1}
    toolkit.destroy("cortex-kit-api-a")
    assert cortex.json("get", "--env", "kit") == []
    cloudformation.update_termination_protection(StackName="cortex-kit-cluster", EnableTerminationProtection=False)
    let_instances_go(cortex.aws("autoscaling"))
    toolkit.destroy("cortex-kit-cluster")
    assert cloudformation.describe_stacks()["Stacks"] == []
