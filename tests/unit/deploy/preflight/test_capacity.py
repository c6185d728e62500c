"""What the deployer says of a cluster that is too small, before anything is created."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber
from cortex_stacks.toolkit import placeholder_resources

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config import Cluster, RealtimeApi
from cortex_cdk.deploy.preflight.capacity import check_gpus, check_room, room_warning
from cortex_cdk.errors import DeployError
from cortex_cdk.synthesis.specs import ApiStackSpec


def api(name: str = "iris", **settings: Any) -> RealtimeApi:
    predictor = {"type": "python", "path": "predictor.py"}
    return RealtimeApi.model_validate({"name": name, "kind": "RealtimeAPI", "predictor": predictor, **settings})


def cluster(instance_type: str, most: int) -> Cluster:
    group = {"name": "group", "instance_types": [instance_type], "max_instances": most}
    return Cluster.model_validate({"name": "demo", "instance_groups": [group]})


def warning(instance_type: str, most: int, replicas: int, **settings: Any) -> str | None:
    resources = placeholder_resources(cluster(instance_type, most))
    return room_warning(ApiStackSpec(cluster=resources, api=api(**settings), priority=1), replicas)


def test_all_apis_that_fit_nowhere_are_named_at_once() -> None:
    resources = placeholder_resources(cluster("m6i.large", 1))
    apis = [api("small"), api("big", compute={"cpu": 3}), api("gpu", compute={"gpu": 1})]
    with pytest.raises(DeployError) as refusal:
        check_room(resources, apis)
    assert refusal.value.message.startswith("big: no instance of cluster demo has room")
    assert refusal.value.details == ("gpu: cluster demo has no instance group for compute.gpu",)


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
        (None, 1, None),
    ],
)
def test_gpus_that_the_instances_lack_where_they_are(there: int | None, wanted: int, refused: str | None) -> None:
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    resources = placeholder_resources(cluster("g4dn.12xlarge", 1))
    apis = [api("plain"), api("text", compute={"gpu": wanted})]
    with Stubber(cloud.ec2) as ec2:
        if there is None:
            ec2.add_client_error("describe_instance_types", "UnauthorizedOperation")
        else:
            info = {"GpuInfo": {"Gpus": [{"Count": there}]}} if there else {}
            described: Any = {"InstanceTypes": [{"InstanceType": "g4dn.12xlarge", **info}]}
            ec2.add_response("describe_instance_types", described, {"InstanceTypes": ["g4dn.12xlarge"]})
        if refused:
            with pytest.raises(DeployError) as refusal:
                check_gpus(cloud, resources, apis)
            assert refusal.value.message == f"text: {refused} here"
        else:
            check_gpus(cloud, resources, apis)
        ec2.assert_no_pending_responses()


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
