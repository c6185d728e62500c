"""A cluster whose first creation failed: nothing of it is touched before the user has agreed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cortex_cdk.client import Client
from cortex_cdk.errors import ClusterError
from cortex_cdk.localcloud.endpoint import Endpoint
from cortex_cdk.stack_operations.progress import Silent
from tests.conftest import Cortex
from tests.local.clusters.test_cluster import CPU, GPU, NEW, self_signed, write
from tests.local.localcloud.stacks import Stacks, log_group, template

CLUSTER = "cortex-local-cluster"
BROKEN = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "x"}}


@pytest.fixture(scope="module")
def stacks(cortex: Cortex) -> Stacks:
    cortex.ok("local", "up")
    return Stacks(Endpoint(cortex.control_url, "", 0))


def test_what_is_left_of_a_failed_cluster_is_removed_once_the_user_agrees(
    cortex: Cortex, stacks: Stacks, tmp_path: Path
) -> None:
    left = stacks.create(CLUSTER, template(Bad=BROKEN))
    assert left["StackStatus"] == "ROLLBACK_COMPLETE"

    asked = cortex.run("cluster", "up", write(tmp_path))
    assert asked.returncode == 1
    assert "the cluster local would be made in us-east-1: " in asked.stdout
    assert "before that: removing what is left of an earlier attempt\n" in asked.stdout
    assert "nothing was changed: nobody can be asked" in asked.stderr
    [stack] = stacks.api.describe_stacks(StackName=CLUSTER)["Stacks"]
    assert (stack["StackId"], stack["StackStatus"]) == (left["StackId"], "ROLLBACK_COMPLETE")

    done = cortex.run("cluster", "up", write(tmp_path), "--yes")
    assert done.returncode == 0, done.stderr
    assert "cluster local: removing what is left of an earlier attempt\n" in done.stderr
    assert cortex.json("cluster", "info")["status"] == "CREATE_COMPLETE"


def test_everything_that_is_in_the_way_is_told_at_once(cortex: Cortex, stacks: Stacks, tmp_path: Path) -> None:
    certificate = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
    file = write(tmp_path, vpc={"cidr": "10.0.0.0/16"}, load_balancer={"certificate_arn": certificate})
    done = cortex.run("cluster", "configure", file, "--yes")
    assert done.returncode == 1
    assert "error: cluster local was not changed: 2 problems were found\n" in done.stderr
    assert "  cluster local: vpc.cidr: 192.168.0.0/16 -> 10.0.0.0/16: the network cannot be changed" in done.stderr
    assert "    hint: keep these values, or make another cluster with them" in done.stderr
    assert f"  cluster local: the certificate {certificate} does not exist\n" in done.stderr


@pytest.fixture
def client(cortex: Cortex, stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> Client:
    for variable in ("CORTEX_HOME", "CORTEX_LOCAL_PORT", "CORTEX_LOCAL_HTTP_PORT", "CORTEX_LOCAL_HTTPS_PORT"):
        monkeypatch.setenv(variable, cortex.environ[variable])
    return Client("local")


class Meddler(Silent):
    """Does something once CloudFormation has accepted the change set, before the change set is executed."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._meddle = meddle

    def step(self, subject: str, text: str) -> None:
        """Meddle when the instances of a removed group end."""
        if text.startswith("ending the instances"):
            self._meddle()


def test_a_roll_back_deletes_a_group_whose_instances_are_protected(
    cortex: Cortex, client: Client, tmp_path: Path
) -> None:
    """Somebody takes the name of the capacity provider just before the change: the group is made first."""
    before = group_names(cortex)
    ecs = cortex.aws("ecs")
    provider = {"autoScalingGroupArn": next(iter(before)), "managedTerminationProtection": "DISABLED"}
    meddler = Meddler(lambda: ecs.create_capacity_provider(name="cortex-local_new", autoScalingGroupProvider=provider))
    disturbed = Client(client.environment.name, meddler)
    plan = disturbed.plan_cluster(write(tmp_path, CPU, {**NEW, "min_instances": 1}))
    assert plan
    with pytest.raises(ClusterError, match="could not be deployed"):
        disturbed.apply_cluster(plan)

    [stack] = cortex.aws("cloudformation").describe_stacks(StackName=CLUSTER)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    groups = cortex.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert {group["AutoScalingGroupName"] for group in groups} == before
    # The group that the plan would have removed has its size again.
    assert {group["MaxSize"] for group in groups} == {CPU["max_instances"], GPU["max_instances"]}
    assert all(group["NewInstancesProtectedFromScaleIn"] for group in groups)
    ecs.delete_capacity_provider(capacityProvider="cortex-local_new")


def group_names(cortex: Cortex) -> set[str]:
    groups = cortex.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {group["AutoScalingGroupName"] for group in groups}


def test_a_client_forgets_everything_about_a_cluster_that_it_has_changed(
    cortex: Cortex, stacks: Stacks, client: Client, tmp_path: Path
) -> None:
    # An API's stack without an API: its endpoint is the cluster's all the same.
    stacks.create("cortex-local-api-text", template(Group=log_group("none")))
    assert client.report("text").api.endpoint.startswith("http://")

    arn = cortex.aws("acm").import_certificate(**self_signed())["CertificateArn"]
    plan = client.plan_cluster(write(tmp_path, load_balancer={"certificate_arn": arn}))
    assert plan
    client.apply_cluster(plan)
    assert client.report("text").api.endpoint.startswith("https://")

    client.remove_cluster()
    with pytest.raises(ClusterError, match="nothing is deployed"):
        client.reports()
