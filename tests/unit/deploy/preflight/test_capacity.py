"""What the deployer says of a cluster that is too small, before anything is created."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Cluster, Config, RealtimeApi
from cortex_cdk.deploy.deployment import Deployment, Target, Wanted
from cortex_cdk.deploy.preflight.capacity import check_fit, check_gpus, check_rollout
from cortex_cdk.deploy.preflight.checks import check
from cortex_cdk.errors import PreflightError
from cortex_cdk.synthesis.placeholders import placeholder_resources
from tests.conftest import ROOT


def api(name: str = "iris", **settings: Any) -> RealtimeApi:
    predictor = {"type": "python", "path": "predictor.py"}
    return RealtimeApi.model_validate({"name": name, "kind": "RealtimeAPI", "predictor": predictor, **settings})


def cluster(instance_type: str, most: int) -> Cluster:
    group = {"name": "group", "instance_types": [instance_type], "max_instances": most}
    return Cluster.model_validate({"name": "demo", "instance_groups": [group]})


def deployment(where: Cluster, *apis: RealtimeApi, desired: int | None = None) -> Deployment:
    """APIs on a cluster that has nothing yet."""
    resources = placeholder_resources(where)
    return Deployment(
        cloud=Cloud.without_account("us-east-1", "http://127.0.0.1:9"),
        cluster=RunningCluster("demo", "test", resources, resources.base_url),
        wanted=Wanted(Config(ROOT / "cortex.yaml", ROOT, apis, (), ()), "digest", {api.name: None for api in apis}),
        apis=tuple(Target(api, f"cortex-demo-api-{api.name}", None, None, desired) for api in apis),
        splitters=(),
        stacks={},
        rules=(),
    )


def warning(instance_type: str, most: int, replicas: int, **settings: Any) -> str | None:
    settings.setdefault("autoscaling", {"max_replicas": 1000})
    found = list(check_rollout(deployment(cluster(instance_type, most), api(**settings), desired=replicas)))
    assert not any(finding.fatal for finding in found)
    return found[0].message if found else None


def test_all_apis_that_fit_nowhere_are_named_at_once() -> None:
    apis = [api("small"), api("big", compute={"cpu": 3}), api("gpu", compute={"gpu": 1})]
    found = list(check_fit(deployment(cluster("m6i.large", 1), *apis)))
    assert [(finding.subject, finding.fatal) for finding in found] == [("big", True), ("gpu", True)]
    assert found[0].message.startswith("no instance of cluster demo has room")
    assert found[1].message == "cluster demo has no instance group for compute.gpu"


def test_one_finding_is_told_as_it_is_and_several_each_with_its_hint() -> None:
    big, gpu = api("big", compute={"cpu": 3}), api("gpu", compute={"gpu": 1})
    with pytest.raises(PreflightError) as alone:
        check(deployment(cluster("m6i.large", 1), gpu))
    assert alone.value.message == "gpu: cluster demo has no instance group for compute.gpu"
    assert alone.value.hint and alone.value.hint.startswith("add a group of gpu instances")
    assert alone.value.details == ()

    with pytest.raises(PreflightError) as together:
        check(deployment(cluster("m6i.large", 1), big, gpu))
    assert together.value.message == "nothing was deployed: 2 problems were found"
    first, first_hint, second, second_hint = together.value.details
    assert first.startswith("big: no instance of cluster demo has room")
    assert first_hint.startswith("  hint: ask for less in compute")
    assert second == alone.value.message
    assert second_hint == f"  hint: {alone.value.hint}"
    assert [finding["subject"] for finding in together.value.as_json()["findings"]] == ["big", "gpu"]


@pytest.mark.parametrize(
    ("there", "wanted", "refused"),
    [
        (
            0,
            1,
            "a replica asks for 1 GPU, and no instance of group group has one: EC2 says that g4dn.12xlarge has none",
        ),
        (
            2,
            3,
            "a replica asks for 3 GPUs, and no instance of group group has so many: EC2 says that g4dn.12xlarge has 2",
        ),
        (2, 2, None),
        (4, 3, None),
    ],
)
def test_gpus_that_the_instances_lack_where_they_are(there: int, wanted: int, refused: str | None) -> None:
    subject = deployment(cluster("g4dn.12xlarge", 1), api("plain"), api("text", compute={"gpu": wanted}))
    with Stubber(subject.cloud.ec2) as ec2:
        info = {"GpuInfo": {"Gpus": [{"Count": there}]}} if there else {}
        described: Any = {"InstanceTypes": [{"InstanceType": "g4dn.12xlarge", **info}]}
        ec2.add_response("describe_instance_types", described, {"InstanceTypes": ["g4dn.12xlarge"]})
        found = list(check_gpus(subject))
        ec2.assert_no_pending_responses()
    assert [str(finding) for finding in found] == ([f"text: {refused} here"] if refused else [])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("InvalidInstanceType", []),
        (
            "UnauthorizedOperation",
            ["could not check the GPUs of the instances: the caller may not do DescribeInstanceTypes"],
        ),
    ],
)
def test_a_check_that_cannot_be_made_is_a_warning(code: str, said: list[str]) -> None:
    subject = deployment(cluster("g4dn.12xlarge", 2), api("text", compute={"gpu": 1}))
    with Stubber(subject.cloud.ec2) as ec2:
        ec2.add_client_error("describe_instance_types", code)
        found = check(subject)
    assert [(finding.subject, finding.message) for finding in found] == [("cluster demo", text) for text in said]


def test_one_gpu_has_no_room_for_a_surge() -> None:
    said = warning("g4dn.xlarge", 1, 1, compute={"gpu": 1})
    assert said is not None
    assert "during a rollout 2 replicas run" in said
    assert "room for 1 (at most 1 instance of g4dn.xlarge)" in said
    assert "max_surge: 0" in said


@pytest.mark.parametrize(
    ("most", "replicas", "strategy"),
    [(2, 1, {}), (1, 1, {"max_surge": 0, "max_unavailable": 1}), (5, 4, {"max_surge": "25%"})],
)
def test_room_enough(most: int, replicas: int, strategy: dict[str, Any]) -> None:
    assert warning("g4dn.xlarge", most, replicas, compute={"gpu": 1}, update_strategy=strategy) is None


def test_more_replicas_than_the_group_can_hold() -> None:
    said = warning("m6i.large", 2, 3, compute={"cpu": 2})
    assert said is not None
    assert said.startswith("3 replicas are asked for, and group group has room for 2")


def test_unknown_types_are_left_to_aws() -> None:
    assert warning("m99i.large", 1, 1000) is None
