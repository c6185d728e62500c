"""What of a running cluster may be changed, and how a change is told."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.clusters.allowed_changes import differences, refusals
from cortex_cdk.config import Cluster, Compute

CPU = {"name": "cpu", "instance_types": ["m6i.large"], "min_instances": 1, "max_instances": 5}
GPU = {"name": "gpu", "instance_types": ["g4dn.xlarge"]}
CERTIFICATE = "arn:aws:acm:us-east-1:111111111111:certificate/12345678-1234-1234-1234-123456789012"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
ROLE = "arn:aws:iam::123456789012:role/cloudformation"
PRIVATE = {"subnet_visibility": "private"}
DOMAIN = {"domain": "api.example.com", "hosted_zone": "example.com"}
TLS = {"load_balancer": {"certificate_arn": CERTIFICATE}}


def cluster(*groups: dict[str, Any], **settings: Any) -> Cluster:
    return Cluster.model_validate({"instance_groups": groups or (CPU, GPU), **settings})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (cluster(), cluster(), []),
        (cluster(), cluster({**CPU, "max_instances": 9}, GPU), ["instance_groups.cpu.max_instances: 5 -> 9"]),
        (cluster(), cluster(CPU), ["instance_groups.gpu: 0 to 5 of g4dn.xlarge -> none"]),
        (cluster(CPU), cluster(), ["instance_groups.gpu: none -> 0 to 5 of g4dn.xlarge"]),
        (cluster(), cluster(tags={"team": "vision"}), ["tags.team: none -> vision"]),
        (cluster(), cluster(log_retention=7), ["log_retention: 30 -> 7"]),
        (
            cluster(),
            cluster({**CPU, "instance_types": ["m7i.large", "m6i.large"]}, GPU),
            ["instance_groups.cpu.instance_types: m6i.large -> m7i.large, m6i.large"],
        ),
        (cluster(), cluster(**TLS), [f"load_balancer.certificate_arn: none -> {CERTIFICATE}"]),
        (cluster(), cluster(**DOMAIN), ["domain: none -> api.example.com", "hosted_zone: none -> example.com"]),
        (
            cluster(**TLS),
            cluster(**DOMAIN),
            [
                f"load_balancer.certificate_arn: {CERTIFICATE} -> none",
                "domain: none -> api.example.com",
                "hosted_zone: none -> example.com",
            ],
        ),
        (cluster(), cluster(account="123456789012"), ["account: none -> 123456789012"]),
        (cluster(permissions_boundary=BOUNDARY), cluster(), [f"permissions_boundary: {BOUNDARY} -> none"]),
        (cluster(), cluster(cloudformation_role=ROLE), [f"cloudformation_role: none -> {ROLE}"]),
    ],
)
def test_a_change_is_told_field_by_field_and_accepted(before: Cluster, after: Cluster, told: list[str]) -> None:
    assert [str(difference) for difference in differences(before, after)] == told
    assert refusals(before, after, in_use={}) == ()


@pytest.mark.parametrize(
    ("before", "after", "field", "reason"),
    [
        (cluster(), cluster(vpc={"cidr": "10.0.0.0/16"}), "vpc.cidr", "network"),
        (cluster(cloudformation_role=ROLE), cluster(), "cloudformation_role", "CloudFormation keeps the role"),
        (cluster(), cluster(availability_zones=["us-east-1a", "us-east-1b"]), "availability_zones", "network"),
        (cluster(), cluster(**PRIVATE), "subnet_visibility", "network"),
        (cluster(), cluster(load_balancer={"scheme": "internal"}), "load_balancer.scheme", "another address"),
        (cluster(**TLS), cluster(), "load_balancer.certificate_arn", "HTTPS listener"),
        (cluster(**DOMAIN), cluster(), "domain", "HTTPS listener"),
        (cluster(), cluster(CPU, {**GPU, "instance_types": ["m6i.large"]}), "instance_groups.gpu", "accelerator"),
        (cluster(), cluster(GPU), "instance_groups.cpu", "APIs run on it"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_a_reason(
    before: Cluster, after: Cluster, field: str, reason: str
) -> None:
    refused = refusals(before, after, in_use={"cpu": {"a": Compute(cpu=1)}})
    [text] = [text for text in refused if text.startswith(f"{field}: ")]
    assert reason in text


def test_an_unused_group_can_go() -> None:
    assert refusals(cluster(), cluster(GPU), in_use={"gpu": {"a": Compute(gpu=1)}}) == ()


def test_instances_stay_large_enough_for_the_apis_that_run_on_them() -> None:
    smaller = cluster({**CPU, "instance_types": ["t3.small"]}, GPU)
    assert refusals(cluster(), smaller, in_use={"cpu": {"small": Compute(cpu=1)}}) == ()
    [text] = refusals(cluster(), smaller, in_use={"cpu": {"small": Compute(cpu=1), "large": Compute(mem=4 * 2**30)}})
    assert text.startswith(
        "instance_groups.cpu: large runs on it, and a replica asks for 205 CPU units (0.2 vCPU), 4096"
    )
    assert "t3.small: 2048 CPU units" in text
    with_room = cluster({**CPU, "instance_types": ["t3.small", "m7i.large"]}, GPU)
    assert refusals(cluster(), with_room, in_use={"cpu": {"large": Compute(mem=4 * 2**30)}}) == ()
