"""Cluster configuration: defaults, bounds, rules, and the files of the original Cortex."""

# ruff: noqa: E501 - tables of messages and values

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex_cdk.config import Cluster, load_cluster
from cortex_cdk.config.cluster import LOG_RETENTIONS
from cortex_cdk.config.sections.instance_group import accelerator_of, is_arm
from cortex_cdk.errors import ConfigError

Load = Callable[[dict[str, Any]], Cluster]
Complaints = Callable[[dict[str, Any]], list[str]]

CPU = {"name": "cpu", "instance_types": ["m6i.large"]}
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
VPC = {"id": "vpc-0123456789abcdef0", "public_subnets": SUBNETS}
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
BOUNDARY = "arn:aws:iam::123456789012:policy/team/boundary"
ROLE = "arn:aws:iam::123456789012:role/cloudformation"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b-2c3d"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_data(data: dict[str, Any]) -> Cluster:
        (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        return load_cluster(tmp_path / "cluster.yaml")

    return load_data


@pytest.fixture
def complaints(load: Load) -> Complaints:
    def load_data(data: dict[str, Any]) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(data)
        assert all(problem.line and problem.column for problem in caught.value.problems)
        return [str(problem).split(": ", 1)[1] for problem in caught.value.problems]

    return load_data


def group(**fields: Any) -> dict[str, Any]:
    return {"instance_groups": [{**CPU, **fields}]}


def test_defaults(load: Load) -> None:
    cluster = load({"name": "cortex"})
    assert cluster == Cluster.default()
    assert cluster == Cluster.default("cortex", "us-east-1")
    assert Cluster.model_validate(cluster.model_dump(mode="json")) == cluster
    cpu, gpu = cluster.instance_groups
    assert (cpu.instance_types, cpu.min_instances, cpu.max_instances, cpu.accelerator) == (
        ("m7i-flex.large",),
        1,
        5,
        "none",
    )
    assert (gpu.instance_types, gpu.min_instances, gpu.max_instances, gpu.gpu) == (("g4dn.xlarge",), 0, 5, True)
    assert (cluster.nat_gateway, cluster.subnet_visibility, cluster.log_retention) == ("none", "public", 30)
    assert cluster.load_balancer.allowed_cidrs == ("0.0.0.0/0",)


def test_everything(load: Load) -> None:
    data = {
        "name": "prod",
        "region": "eu-west-1",
        "account": "012345678901",
        "vpc": {"cidr": "10.1.0.0/16"},
        "availability_zones": ["eu-west-1a", "eu-west-1b"],
        "subnet_visibility": "private",
        "nat_gateway": "highly_available",
        "load_balancer": {
            "scheme": "internal",
            "certificate_arn": CERTIFICATE.replace("us-east-1", "eu-west-1"),
            "allowed_cidrs": ["10.0.0.0/8", "2001:db8::/32"],
        },
        "tags": {"team": "vision"},
        "log_retention": 7,
        "alarm_topic": TOPIC.replace("us-east-1", "eu-west-1"),
        "instance_groups": [
            {
                "name": "gpu-a",
                "instance_types": ["g5.xlarge", "g4dn.xlarge"],
                "min_instances": 0,
                "max_instances": 3,
                "volume": {"size": 200, "type": "io1", "iops": 5000},
                "spot": {"on_demand_base": 1, "on_demand_percentage": 20, "max_price": 0.5},
            }
        ],
    }
    cluster = load(data)
    assert cluster.model_dump(mode="json", exclude_unset=True) == data
    assert Cluster.model_validate(cluster.model_dump(mode="json")) == cluster


def test_private_subnets_have_a_way_out(load: Load) -> None:
    assert load({"subnet_visibility": "private"}).nat_gateway == "single"
    vpc = {**VPC, "private_subnets": SUBNETS}
    assert load({"subnet_visibility": "private", "vpc": vpc}).nat_gateway == "none"


def test_spot_as_a_flag(load: Load) -> None:
    spot = load(group(spot=True)).instance_groups[0].spot
    assert spot is not None
    assert (spot.on_demand_base, spot.on_demand_percentage, spot.max_price) == (0, 0, None)
    assert load(group(spot=False)).instance_groups[0].spot is None


ACCEPTED: list[dict[str, Any]] = [
    {"name": "a" * 24},
    {"region": "us-gov-west-1"},
    {"account": 123456789012},
    {"vpc": {"cidr": "10.0.0.0/24"}},
    {"vpc": VPC},
    {"load_balancer": {"certificate_arn": CERTIFICATE}},
    {"domain": "api.example.com", "hosted_zone": "example.com"},
    {"domain": "example.com", "hosted_zone": "example.com"},
    {"domain": "API.Example.com.", "hosted_zone": "Example.com."},
    {"domain": "api.example.com", "hosted_zone": "/hostedzone/Z0123456789ABC"},
    {"alarm_topic": TOPIC},
    {"alarm_topic": None},
    {"permissions_boundary": BOUNDARY},
    {"permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess", "account": "123456789012"},
    {"cloudformation_role": ROLE, "account": "123456789012"},
    {"tags": {"k" * 128: "v" * 256}},
    *({"log_retention": days} for days in LOG_RETENTIONS),
    group(min_instances=5, max_instances=5),
    group(volume={"size": 30}),
    group(volume={"size": 16384}),
    group(volume={"size": 30, "type": "io1", "iops": 1500}),
    group(volume={"size": 60, "type": "io1"}),
    group(volume={"type": "gp2"}),
    group(volume={"throughput": 125}),
    group(volume={"throughput": 750}),
    group(volume={"throughput": 1000, "iops": 4000}),
    group(instance_types=["u7i-6tb.112xlarge", "m7i-flex.large", "c5.metal"]),
    {
        "vpc": {**VPC, "public_subnets": [], "private_subnets": SUBNETS},
        "subnet_visibility": "private",
        "load_balancer": {"scheme": "internal"},
    },
]


@pytest.mark.parametrize("data", ACCEPTED, ids=str)
def test_accepted(load: Load, data: dict[str, Any]) -> None:
    load(data)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "a" * 25}, "name: must be 1 to 24 characters from a-z 0-9 -"),
    ({"name": "A"}, "name: must be"),
    ({"name": 1}, "name: must be"),
    ({"nmae": "a"}, "nmae: is not a field here (did you mean name?)"),
    ({"scheme": "internal"}, "scheme: is not a field here (it belongs to load_balancer)"),
    ({"region": "eu"}, 'region: must be an AWS region such as us-east-1, not "eu"'),
    ({"region": "us-east-1a"}, "region: must be"),
    ({"account": 12}, "account: must be an account number: 12 digits in quotes, not 12"),
    ({"account": True}, "account: must be"),
    ({"vpc": {"cidr": "10.0.0.0/15"}}, "vpc.cidr: must be an IPv4 network from /16 to /24, such as 10.0.0.0/16, not"),
    ({"vpc": {"cidr": "10.0.0.0/25"}}, "vpc.cidr: must be"),
    ({"vpc": {"cidr": "10.0.0.1/16"}}, "vpc.cidr: must be"),
    ({"vpc": {"cidr": "10.0.0.0"}}, "vpc.cidr: must be"),
    ({"vpc": {"cidr": "2001:db8::/20"}}, "vpc.cidr: must be"),
    ({"vpc": {"id": "vpc-1"}}, "vpc.id: must be the id of a VPC"),
    ({"vpc": {"id": VPC["id"]}}, "vpc.id: needs public_subnets, unless subnet_visibility is private"),
    (
        {"vpc": {"id": VPC["id"], "public_subnets": SUBNETS[:1]}},
        "vpc.public_subnets: must name two or more different subnets",
    ),
    (
        {"vpc": {"id": VPC["id"], "public_subnets": SUBNETS[:1] * 2}},
        "vpc.public_subnets: must name two or more different subnets",
    ),
    ({"vpc": {"public_subnets": SUBNETS}}, "vpc.public_subnets: needs id: a new VPC gets new subnets"),
    (
        {"vpc": {"id": VPC["id"], "public_subnets": ["x", SUBNETS[0]]}},
        "vpc.public_subnets[0]: must be the id of a subnet",
    ),
    ({"vpc": {**VPC, "cidr": "10.0.0.0/16"}}, "vpc.cidr: is for a new VPC"),
    ({"vpc": VPC, "nat_gateway": "single"}, "nat_gateway: is for a new VPC"),
    ({"vpc": VPC, "availability_zones": ["us-east-1a", "us-east-1b"]}, "availability_zones: are for a new VPC"),
    ({"vpc": VPC, "subnet_visibility": "private"}, "vpc.id: needs private_subnets, because"),
    ({"availability_zones": ["us-east-1a"]}, "availability_zones: must name two or more different zones"),
    ({"availability_zones": ["us-east-1a", "us-east-1a"]}, "availability_zones: must name two or more different zones"),
    ({"availability_zones": ["us-east-1a", "eu-west-1b"]}, "availability_zones[1]: eu-west-1b is not in us-east-1"),
    ({"availability_zones": ["us-east-1", "us-east-1b"]}, "availability_zones[0]: must be an availability zone"),
    ({"subnet_visibility": "hidden"}, 'subnet_visibility: must be public or private, not "hidden"'),
    ({"subnet_visibility": "private", "nat_gateway": "none"}, "nat_gateway: private subnets need a NAT gateway"),
    ({"nat_gateway": "single"}, "nat_gateway: is for private subnets"),
    ({"nat_gateway": "double"}, "nat_gateway: must be none, single or highly_available"),
    ({"load_balancer": {"scheme": "public"}}, "load_balancer.scheme: must be internet-facing or internal"),
    (
        {"load_balancer": {"certificate_arn": "arn:aws:iam::1:x"}},
        "load_balancer.certificate_arn: must be the ARN of a certificate in ACM",
    ),
    (
        {"load_balancer": {"certificate_arn": CERTIFICATE}, "region": "eu-west-1"},
        "load_balancer.certificate_arn: the certificate is in us-east-1, and the cluster in eu-west-1",
    ),
    ({"domain": "api"}, 'domain: must be a domain such as api.example.com, not "api"'),
    ({"domain": "*.example.com"}, "domain: must be a domain such as api.example.com"),
    ({"domain": "https://api.example.com"}, "domain: must be a domain such as api.example.com"),
    ({"domain": "api.example.com"}, "domain: needs hosted_zone, the zone of Route 53 in which it lies"),
    ({"domain": f"{'a' * 60}.example.com", "hosted_zone": "example.com"}, "domain: must be at most 64 characters long"),
    ({"domain": "api.example.com", "hosted_zone": 5}, "hosted_zone: must be the name or the id of a hosted zone"),
    ({"domain": "myexample.com", "hosted_zone": "example.com"}, "domain: myexample.com is not in the zone example.com"),
    ({"hosted_zone": "example.com"}, "hosted_zone: needs domain: the zone is for the domain's records"),
    (
        {
            "domain": "api.example.com",
            "hosted_zone": "example.com",
            "load_balancer": {"certificate_arn": CERTIFICATE},
        },
        "domain: cannot be used together with load_balancer.certificate_arn",
    ),
    ({"load_balancer": {"allowed_cidrs": []}}, "load_balancer.allowed_cidrs: must have at least one network"),
    ({"load_balancer": {"allowed_cidrs": ["10.0.0.1/8"]}}, "load_balancer.allowed_cidrs[0]: must be a network such as"),
    ({"load_balancer": {"allowed_cidrs": "10.0.0.0/8"}}, "load_balancer.allowed_cidrs: must be a list of texts"),
    ({"tags": {"aws:x": "y"}}, "tags.aws:x: must be text of at most 256 characters"),
    ({"tags": {"Cortex:cluster": "y"}}, "tags.Cortex:cluster: must be"),
    ({"tags": {"k": 1}}, "tags.k: must be"),
    ({"tags": {"k": "v" * 257}}, "tags.k: must be"),
    ({"tags": {f"k{number}": "v" for number in range(41)}}, "tags: must be at most 40, not 41"),
    ({"log_retention": 2}, "log_retention: must be one of 1, 3, 5, 7"),
    ({"log_retention": "7"}, "log_retention: must be"),
    ({"log_retention": 7.0}, "log_retention: must be"),
    ({"log_retention": True}, "log_retention: must be"),
    ({"log_retention": [7]}, "log_retention: must be"),
    ({"alarm_topic": "alarms"}, "alarm_topic: must be the ARN of a standard SNS topic"),
    ({"alarm_topic": f"{TOPIC}.fifo"}, "alarm_topic: must be the ARN of a standard SNS topic"),
    ({"alarm_topic": f"{TOPIC}:subscription"}, "alarm_topic: must be"),
    ({"permissions_boundary": ROLE}, "permissions_boundary: must be the ARN of an IAM policy"),
    ({"cloudformation_role": "cloudformation"}, "cloudformation_role: must be the ARN of an IAM role"),
    ({"cloudformation_role": BOUNDARY}, "cloudformation_role: must be the ARN of an IAM role"),
    (
        {"cloudformation_role": ROLE, "account": "210987654321"},
        "cloudformation_role: the role is in 123456789012, and the cluster in 210987654321",
    ),
    (
        {"alarm_topic": TOPIC, "region": "eu-west-1"},
        "alarm_topic: the topic is in us-east-1, and the cluster in eu-west-1",
    ),
    ({"instance_groups": []}, "instance_groups: must have at least one group"),
    ({"instance_groups": {}}, "instance_groups: must be a list of maps, not a map"),
    ({"instance_groups": [CPU, CPU]}, "instance_groups[1].name: there is another group named cpu"),
    ({"instance_groups": [{"name": "a"}]}, "instance_groups[0].instance_types: is required"),
    (group(instance_types=[]), "instance_groups[0].instance_types: must name at least one instance type"),
    (group(instance_types="m5.large"), "instance_groups[0].instance_types: must be a list of texts"),
    (group(instance_types=["m7g.large"]), "instance_groups[0].instance_types[0]: must be an EC2 instance type such as"),
    (group(instance_types=["t3.micro"]), "instance_groups[0].instance_types[0]: must be"),
    (group(instance_types=["large"]), "instance_groups[0].instance_types[0]: must be"),
    (group(instance_types=["m5.large", "m5.large"]), "instance_groups[0].instance_types[1]: m5.large is named already"),
    (
        group(instance_types=["m5.large", "g5.xlarge"]),
        "instance_groups[0].instance_types[1]: g5.xlarge and m5.large do not have the same kind",
    ),
    (group(min_instances=-1), "instance_groups[0].min_instances: must be a whole number of at least 0"),
    (group(max_instances=0), "instance_groups[0].max_instances: must be a whole number of at least 1"),
    (group(min_instances=6), "instance_groups[0].min_instances: 6 is more than max_instances, which is 5"),
    (group(volume={"size": 29}), "instance_groups[0].volume.size: must be a whole number from 30 to 16384"),
    (group(volume={"size": 16385}), "instance_groups[0].volume.size: must be"),
    (group(volume={"type": "st1"}), "instance_groups[0].volume.type: must be gp3, gp2, io1 or io2"),
    (group(volume={"type": "gp2", "iops": 3000}), "instance_groups[0].volume.iops: cannot be chosen for gp2 volumes"),
    (
        group(volume={"throughput": 124}),
        "instance_groups[0].volume.throughput: must be a whole number from 125 to 2000",
    ),
    (
        group(volume={"type": "gp2", "throughput": 200}),
        "instance_groups[0].volume.throughput: cannot be chosen for gp2 volumes",
    ),
    (group(volume={"throughput": 751}), "instance_groups[0].volume.throughput: 751 MiB/s need 3004 IOPS"),
    (group(volume={"iops": 99}), "instance_groups[0].volume.iops: must be a whole number from 100 to 64000"),
    (group(volume={"iops": 2999}), "instance_groups[0].volume.iops: IOPS must be from 3000 to 25000 for 50 GiB of gp3"),
    (
        group(volume={"size": 30, "type": "io1", "iops": 1501}),
        "instance_groups[0].volume.iops: IOPS must be from 100 to 1500",
    ),
    (group(volume={"size": 30, "type": "io1"}), "instance_groups[0].volume.size: IOPS must be from 100 to 1500"),
    (group(spot="yes"), 'instance_groups[0].spot: must be true, false, or a map, not "yes"'),
    (
        group(spot={"on_demand_base": 6}),
        "instance_groups[0].spot.on_demand_base: 6 is more than max_instances, which is 5",
    ),
    (group(spot={"on_demand_percentage": 101}), "instance_groups[0].spot.on_demand_percentage: must be"),
    (group(spot={"max_price": 0}), "instance_groups[0].spot.max_price: must be a number above 0"),
    (group(name="a" * 25), "instance_groups[0].name: must be 1 to 24 characters"),
]


@pytest.mark.parametrize(("data", "expected"), REFUSED, ids=lambda item: str(item)[:60])
def test_refused(complaints: Complaints, data: dict[str, Any], expected: str) -> None:
    (complaint,) = complaints(data)
    assert complaint.startswith(expected)


@pytest.mark.parametrize(
    ("name", "accelerator", "arm"),
    [("m6i.large", "none", False), ("g4dn.xlarge", "gpu", False), ("gr6.4xlarge", "gpu", False), ("p4d.24xlarge", "gpu", False),
     ("p6-b200.48xlarge", "gpu", False), ("inf1.xlarge", "inf", False), ("inf2.xlarge", "inf", False), ("trn1.2xlarge", "inf", False),
     ("g5g.xlarge", "gpu", True), ("p6e-gb200.36xlarge", "gpu", True), ("m7g.large", "none", True), ("c7gn.large", "none", True),
     ("a1.large", "none", True), ("im4gn.large", "none", True), ("x2gd.large", "none", True), ("m7i-flex.large", "none", False)],
)  # fmt: skip
def test_instance_types(name: str, accelerator: str, arm: bool) -> None:
    assert (accelerator_of(name), is_arm(name)) == (accelerator, arm)


def test_files_that_are_no_cluster(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    with pytest.raises(ConfigError, match="does not exist"):
        load_cluster(tmp_path)
    for text in ("[]", "a", "- name: x"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="must be a map with name, region and more"):
            load_cluster(tmp_path)
    file.write_text("name: a\nname: b\nregion: x\n")
    with pytest.raises(ConfigError) as caught:
        load_cluster(file)
    assert [(problem.path, problem.line) for problem in caught.value.problems] == [("name", 2), ("region", 3)]


def test_old_files(load: Load) -> None:
    cluster = load(
        {
            "cluster_name": "old",
            "region": "us-west-2",
            "instance_type": "g4dn.xlarge",
            "min_instances": 2,
            "max_instances": 9,
            "instance_volume_size": 80,
            "instance_volume_type": "io1",
            "instance_volume_iops": 200,
            "vpc_cidr": "10.0.0.0/16",
            "subnet_visibility": "private",
            "nat_gateway": "highly_available",
            "api_load_balancer_scheme": "internal",
            "ssl_certificate_arn": CERTIFICATE.replace("us-east-1", "us-west-2"),
            "availability_zones": ["us-west-2a", "us-west-2b"],
            "tags": {"a": "b"},
            "spot": True,
            "spot_config": {
                "instance_distribution": ["g4dn.xlarge", "g4dn.2xlarge"],
                "on_demand_base_capacity": 1,
                "on_demand_percentage_above_base_capacity": 10,
                "max_price": 0.4,
            },
        }
    )
    (workers,) = cluster.instance_groups
    assert (cluster.name, cluster.vpc.cidr, cluster.load_balancer.scheme) == ("old", "10.0.0.0/16", "internal")
    assert workers.instance_types == ("g4dn.xlarge", "g4dn.2xlarge")
    assert (workers.min_instances, workers.max_instances) == (2, 9)
    assert (workers.volume.size, workers.volume.type, workers.volume.iops) == (80, "io1", 200)
    assert workers.spot is not None
    assert (workers.spot.on_demand_base, workers.spot.on_demand_percentage, workers.spot.max_price) == (1, 10, 0.4)


def test_old_files_have_the_old_defaults(load: Load) -> None:
    (workers,) = load({"cluster_name": "old", "max_instances": 3, "spot": False}).instance_groups
    assert (workers.instance_types, workers.min_instances, workers.max_instances) == (("m5.large",), 1, 3)
    assert workers.spot is None
    assert load({"cluster_name": "old"}) == Cluster.default("old")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"bucket": "b"},
            "bucket: is a field of the original Cortex that has no counterpart here: the cluster's stack makes its bucket (remove it)",
        ),
        ({"image_operator": "x"}, "image_operator: is a field of the original Cortex"),
        (
            {"spot": True, "spot_config": {"instance_pools": 3}},
            "spot_config.instance_pools: is a field of the original Cortex",
        ),
        ({"spot": True, "spot_config": {"typo": 3}}, "spot_config.typo: is not a field here"),
        ({"spot": True, "spot_config": 3}, "spot_config: must be a map, and needs spot to be true"),
        ({"spot_config": {"max_price": 3}}, "spot_config: must be a map, and needs spot to be true"),
        ({"min_instances": 6}, "instance_groups[0].min_instances: 6 is more than max_instances, which is 5"),
        ({"instance_type": "m7g.large"}, "instance_groups[0].instance_types[0]: must be an EC2 instance type"),
        ({"instance_groups": [CPU], "min_instances": 1}, "min_instances: is not a field here"),
        ({"name": "a", "cluster_name": "b"}, "cluster_name: is not a field here"),
        ({"vpc": {"cidr": "10.0.0.0/16"}, "vpc_cidr": "10.1.0.0/16"}, "vpc_cidr: is not a field here"),
        ({"vpc": 1, "vpc_cidr": "10.1.0.0/16"}, "vpc: must be a map, not 1"),
    ],
)
def test_old_files_refused(complaints: Complaints, data: dict[str, Any], expected: str) -> None:
    assert complaints(data)[0].startswith(expected)
