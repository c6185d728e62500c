"""Every template of the matrix deploys, changes and goes in the local cloud, as CloudFormation would do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cortex_cdk.config import Cluster
from cortex_cdk.localcloud.endpoint import Endpoint
from cortex_cdk.synthesis.specs import (
    ApiStackSpec,
    ClusterResources,
    ClusterStackSpec,
    SplitterStackSpec,
    SynthesisRequest,
)
from cortex_cdk.synthesis.synthesize import synthesize
from tests.local.localcloud.stacks import Stacks, client, running
from tests.stacks import matrix

PARAMETERS = {
    "ProjectKey": "projects/none.zip",
    "Image": "example.invalid/none:1",
    "Revision": "r1",
    "ReplicaEndpoint": "/",
    # Stacks without replicas: what runs in them is tested elsewhere.
    "InitialReplicas": "0",
    "MinimumHealthyPercent": "100",
    "MaximumPercent": "200",
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("matrix")) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def stacks(cloud: Endpoint) -> Stacks:
    return Stacks(cloud)


def lives(stacks: Stacks, name: str, template: dict[str, Any], changed: dict[str, Any]) -> None:
    """Create, change and delete a stack."""
    becomes(stacks, name, template, changed)
    goes(stacks, name)


def becomes(stacks: Stacks, name: str, template: dict[str, Any], changed: dict[str, Any]) -> None:
    created = stacks.create(name, template)["StackStatus"]
    assert created == "CREATE_COMPLETE", (name, stacks.reasons(name, "CREATE_FAILED"))
    updated = stacks.update(name, changed)["StackStatus"]
    assert updated == "UPDATE_COMPLETE", (name, stacks.reasons(name, "UPDATE_FAILED"))


def goes(stacks: Stacks, name: str) -> None:
    deleted = stacks.delete(name)
    assert deleted["StackStatus"] == "DELETE_COMPLETE", (name, stacks.reasons(deleted["StackId"], "DELETE_FAILED"))


def test_every_cluster_deploys_changes_and_goes(cloud: Endpoint, stacks: Stacks) -> None:
    network = existing_network(cloud)
    certificate = client(cloud, "acm").request_certificate(DomainName="models.example.com")["CertificateArn"]
    zone = client(cloud, "route53").create_hosted_zone(Name="example.com", CallerReference="matrix")["HostedZone"]["Id"]
    specs = [at_hand(matrix.cluster_spec(name), network, certificate, zone) for name in matrix.CLUSTERS]
    changed = [ClusterStackSpec(cluster=with_retention(spec.cluster)) for spec in specs]
    before = synthesize(SynthesisRequest(stacks=tuple(specs)))
    after = synthesize(SynthesisRequest(stacks=tuple(changed)))
    for name, template in before.items():
        becomes(stacks, name, template, after[name])
        unprotect(cloud)
        goes(stacks, name)


def unprotect(cloud: Endpoint) -> None:
    """Let all instances end, as ``cortex cluster down`` does: CloudFormation would wait for them."""
    autoscaling = client(cloud, "autoscaling")
    for group in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        instances = [instance["InstanceId"] for instance in group["Instances"]]
        if instances:
            autoscaling.set_instance_protection(
                AutoScalingGroupName=group["AutoScalingGroupName"], InstanceIds=instances, ProtectedFromScaleIn=False
            )


def existing_network(cloud: Endpoint) -> dict[str, Any]:
    """A VPC with subnets, made before any cluster."""
    ec2 = client(cloud, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
    ids = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=zones[number % 3])["Subnet"][
            "SubnetId"
        ]
        for number in range(6)
    ]
    return {"id": vpc, "public_subnets": ids[:2], "private_subnets": ids[3:]}


def at_hand(spec: ClusterStackSpec, network: dict[str, Any], certificate: str, zone: str) -> ClusterStackSpec:
    """The specification with the ids of the network, the certificate and the hosted zone that are there."""
    data = spec.cluster.model_dump(mode="json")
    if data["vpc"]["id"]:
        kept = {key: network[key] for key in ("id", "public_subnets", "private_subnets") if data["vpc"].get(key)}
        data["vpc"] = {**data["vpc"], **kept}
    if data["load_balancer"]["certificate_arn"]:
        data["load_balancer"]["certificate_arn"] = certificate
    if data["domain"]:
        data["hosted_zone"] = zone
    return ClusterStackSpec(cluster=Cluster.model_validate(data))


def with_retention(cluster: Cluster) -> Cluster:
    """The cluster with another log retention."""
    return Cluster.model_validate({**cluster.model_dump(mode="json"), "log_retention": 3})


@pytest.fixture(scope="module")
def home(stacks: Stacks) -> ClusterResources:
    """A cluster that has every kind of instance group."""
    spec = matrix.cluster_spec("types")
    made = stacks.create(spec.stack_name, synthesize(SynthesisRequest(stacks=(spec,)))[spec.stack_name])
    return ClusterResources.from_outputs({output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]})


def moved(spec: ApiStackSpec, home: ClusterResources, index: int, **changes: Any) -> ApiStackSpec:
    """The specification on the cluster that is there, with a priority of its own."""
    api = spec.api.model_copy(update=changes)
    return ApiStackSpec(cluster=home, api=api, priority=20_000 + index)


def with_policy(spec: ApiStackSpec, policy: str) -> ApiStackSpec:
    """The specification with the managed policy that is there."""
    return ApiStackSpec.model_validate_json(spec.model_dump_json().replace(matrix.MANAGED_POLICY, policy))


def test_every_api_and_splitter_deploys_changes_and_goes(
    cloud: Endpoint, stacks: Stacks, home: ClusterResources
) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
    created = client(cloud, "iam").create_policy(PolicyName="features", Path="/team/", PolicyDocument=document)
    policy = created["Policy"]["Arn"]
    every = [with_policy(moved(matrix.api_spec(name), home, index), policy) for index, name in enumerate(matrix.APIS)]
    tokens = next(spec for spec in every if spec.api.networking.auth.jwt)
    specs = [spec for spec in every if spec is not tokens]
    more = [
        moved(spec, home, index, autoscaling=spec.api.autoscaling.model_copy(update={"max_replicas": 90}))
        for index, spec in enumerate(specs)
    ]
    before = synthesize(SynthesisRequest(stacks=tuple(every)))
    after = synthesize(SynthesisRequest(stacks=tuple(more)))
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in PARAMETERS.items()]
    refused = stacks.create(tokens.stack_name, before[tokens.stack_name], Parameters=parameters)
    assert refused["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("does not validate tokens" in reason for reason in stacks.reasons(tokens.stack_name, "CREATE_FAILED"))
    groups = {}
    for spec in specs:
        made = stacks.create(spec.stack_name, before[spec.stack_name], Parameters=parameters)
        assert made["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(spec.stack_name, "CREATE_FAILED")
        outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
        groups[spec.api.name] = outputs["TargetGroupArn"]
    splitters_deploy(stacks, home, groups)
    for spec in specs:
        changed = stacks.update(spec.stack_name, after[spec.stack_name], Parameters=parameters)
        assert changed["StackStatus"] == "UPDATE_COMPLETE", stacks.reasons(spec.stack_name, "UPDATE_FAILED")
        assert stacks.delete(spec.stack_name)["StackStatus"] == "DELETE_COMPLETE"


def splitters_deploy(stacks: Stacks, home: ClusterResources, groups: dict[str, str]) -> None:
    """Every splitter of the matrix over the target groups that are there."""
    for index, name in enumerate(matrix.SPLITTERS):
        wanted = matrix.splitter_spec(name).splitter
        members = {variant.name: groups[variant.name] for variant in wanted.apis}
        spec, later = (
            SplitterStackSpec(cluster=home, splitter=wanted, priority=30_000 + index + shift, target_groups=members)
            for shift in (0, 50)
        )
        template = synthesize(SynthesisRequest(stacks=(spec,)))[spec.stack_name]
        changed = synthesize(SynthesisRequest(stacks=(later,)))[spec.stack_name]
        lives(stacks, spec.stack_name, template, changed)
