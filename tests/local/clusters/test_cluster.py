"""``cortex cluster``, as a user types it, against a local cloud: up, info, configure, and down with APIs on it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import Cortex

CPU = {"name": "cpu", "instance_types": ["m6i.large"], "min_instances": 1, "max_instances": 3}
GPU = {"name": "gpu", "instance_types": ["g4dn.xlarge"], "min_instances": 0, "max_instances": 1}
NEW = {"name": "new", "instance_types": ["m6i.xlarge"], "min_instances": 0, "max_instances": 2}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"


def write(folder: Path, *groups: dict[str, Any], **settings: Any) -> str:
    """A cluster.yaml that names neither cluster nor region; its path."""
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump({"instance_groups": list(groups or (CPU, GPU)), **settings}))
    return str(file)


def refused(cortex: Cortex, *arguments: str) -> str:
    done = cortex.run(*arguments)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def groups(cortex: Cortex) -> dict[str, tuple[int, int, int]]:
    info = cortex.json("cluster", "info")
    return {group["name"]: (group["running"], group["min"], group["max"]) for group in info["instance_groups"]}


@pytest.mark.parametrize(
    "command",
    [
        *(("cluster", *words) for words in (("info",), ("down", "--yes"), ("configure", "--yes"))),
        *((of_an_api, "iris") for of_an_api in ("get", "why", "logs", "history", "metrics", "diff", "rollback")),
        ("predict", "iris", "-"),
        ("delete", "iris", "--yes"),
        ("key", "list"),
    ],
)
def test_without_a_cluster_everything_says_what_makes_one(cortex: Cortex, command: tuple[str, ...]) -> None:
    said = refused(cortex, *command)
    assert said == (
        "error: nothing is deployed in environment 'local' yet: its first deployment makes its cluster\n"
        "hint: deploy a project with: cortex deploy (cortex init starts one)\n"
    )


def test_up_shows_what_it_would_do_and_does_nothing_unasked(cortex: Cortex, tmp_path: Path) -> None:
    done = cortex.run("cluster", "up", write(tmp_path))
    assert done.returncode == 1
    assert "the cluster local would be made in us-east-1" in done.stdout
    assert "cpu: m6i.large" in done.stdout
    assert "On AWS such a cluster would cost" in done.stdout
    assert "--yes" in done.stderr
    assert "could not check" not in done.stderr
    assert "nothing is deployed" in refused(cortex, "cluster", "info")


def test_up_makes_the_cluster_once(cortex: Cortex, tmp_path: Path) -> None:
    assert "the cluster local is ready at http://127.0.0.1:" in cortex.ok("cluster", "up", write(tmp_path), "--yes")
    assert cortex.ok("cluster", "up", write(tmp_path)) == "the cluster local is up to date\n"
    # Without a file the cluster keeps its own configuration, and says so where one lies there.
    assert cortex.ok("cluster", "up") == "the cluster local is up to date\n"
    told = "warning: the cluster.yaml of this folder is not read; use it with: cortex cluster up cluster.yaml\n"
    assert cortex.run("cluster", "up", cwd=tmp_path).stderr == told
    assert groups(cortex) == {"cpu": (1, 1, 3), "gpu": (0, 0, 1)}


def test_info_names_endpoint_groups_cost_and_apis(cortex: Cortex) -> None:
    info = cortex.json("cluster", "info")
    assert (info["name"], info["region"], info["status"]) == ("local", "us-east-1", "CREATE_COMPLETE")
    assert info["apis"] == []
    assert 100 < info["cost"]["monthly"]["min"] < info["cost"]["monthly"]["max"] < 800
    shown = cortex.ok("cluster", "info")
    for text in (info["endpoint"], info["resources"]["bucket"], "m6i.large", "g4dn.xlarge", "no apis are deployed"):
        assert text in shown
    version = cortex.json("version")["version"]
    assert f"version:   {version}\n" in shown
    assert cortex.json("version", "-e", "local") == {"version": version, "cluster_version": version}
    assert cortex.ok("version", "-e", "local") == f"{version}\ncluster: {version}\n"


def test_configure_changes_what_may_be_changed(cortex: Cortex, tmp_path: Path) -> None:
    file = write(tmp_path, {**CPU, "max_instances": 4}, GPU, tags={"team": "vision"})
    done = cortex.run("cluster", "configure", file)
    assert done.returncode == 1
    assert groups(cortex)["cpu"] == (1, 1, 3)
    said = cortex.ok("cluster", "configure", file, "--yes")
    assert said.startswith(done.stdout.rstrip())
    assert "instance_groups.cpu.max_instances: 3 -> 4" in said
    assert "tags.team: none -> vision" in said
    assert groups(cortex)["cpu"] == (1, 1, 4)
    [stack] = cortex.aws("cloudformation").describe_stacks(StackName="cortex-local-cluster")["Stacks"]
    assert {"Key": "team", "Value": "vision"} in stack["Tags"]
    assert cortex.ok("cluster", "configure", file) == "the cluster local is up to date\n"


def test_alarms_get_a_topic_and_lose_it_again(cortex: Cortex, tmp_path: Path) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:cortex-alarms"
    groups = ({**CPU, "max_instances": 4}, GPU)
    said = cortex.ok("cluster", "configure", write(tmp_path, *groups, alarm_topic=topic), "--yes")
    assert f"alarm_topic: none -> {topic}" in said

    def told() -> tuple[list[str], list[str]]:
        found = cortex.aws("cloudwatch").describe_alarms(AlarmNames=["cortex/local/load-balancer"])
        [alarm] = found["MetricAlarms"]
        return alarm["AlarmActions"], alarm["OKActions"]

    assert told() == ([topic], [topic])
    cortex.ok("cluster", "configure", write(tmp_path, *groups), "--yes")
    assert told() == ([], [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vpc": {"cidr": "10.0.0.0/16"}}, "vpc.cidr: 192.168.0.0/16 -> 10.0.0.0/16: the network cannot be changed"),
        ({"name": "other"}, "the file says name: other, and environment 'local' has local"),
        ({"account": "999999999999"}, "belongs to account 999999999999, and the credentials to 123456789012"),
        (
            {"instance_groups": [CPU, GPU, {"name": "new", "instance_types": ["m99i.large"]}]},
            "m99i.large (group new) is not offered in us-east-1a, us-east-1b",
        ),
        ({"load_balancer": {"certificate_arn": CERTIFICATE}}, f"the certificate {CERTIFICATE} does not exist"),
    ],
)
def test_configure_refuses_the_rest(cortex: Cortex, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    assert message in refused(cortex, "cluster", "configure", write(tmp_path, **settings), "--yes")
    [stack] = cortex.aws("cloudformation").describe_stacks(StackName="cortex-local-cluster")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert groups(cortex) == {"cpu": (1, 1, 4), "gpu": (0, 0, 1)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two APIs and a splitter."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "predictor.py").write_text(
        "class PythonPredictor:\n"
        "    def __init__(self, config):\n        pass\n"
        "    def predict(self, payload):\n        return payload\n"
    )
    predictor = {"type": "python", "path": "predictor.py"}
    api = {"kind": "RealtimeAPI", "predictor": predictor}
    apis = [{**api, "name": "a", "compute": {"mem": "3Gi"}}, {**api, "name": "b"}]
    weights = [{"name": "a", "weight": 50}, {"name": "b", "weight": 50}]
    document = [*apis, {"name": "both", "kind": "TrafficSplitter", "apis": weights}]
    (folder / "cortex.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        ({"cpu": 64}, "asks for 65536 CPU units (64 vCPU), 512 MiB (by default): the largest is g4dn.xlarge: 4096 CPU"),
        ({"gpu": 2}, "2 GPUs: the largest is g4dn.xlarge: 4096 CPU units, 15144 MiB, 1 GPU"),
        ({"inf": 1}, "cluster local has no instance group for compute.inf"),
    ],
)
def test_what_fits_no_instance_is_refused_before_anything_is_made(
    cortex: Cortex, iris: Path, compute: dict[str, Any], message: str
) -> None:
    config = yaml.safe_load((iris / "cortex.yaml").read_text())
    (iris / "cortex.yaml").write_text(yaml.safe_dump([{**config[0], "compute": compute}]))
    said = refused(cortex, "deploy", str(iris))
    assert message in said
    assert "cortex cluster configure" in said
    assert cortex.json("get", "--env", "local") == []


def test_the_stack_of_a_cluster_is_protected(cortex: Cortex) -> None:
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cortex.aws("cloudformation").delete_stack(StackName="cortex-local-cluster")


def test_apis_move_to_another_group_before_theirs_is_removed(cortex: Cortex, tmp_path: Path, project: Path) -> None:
    cortex.ok("deploy", str(project))
    cortex.ok("cluster", "configure", write(tmp_path, NEW, {**CPU, "max_instances": 4}, GPU), "--yes")
    deployed = cortex.run("deploy", str(project))
    assert deployed.returncode == 0, deployed.stderr
    assert "0 resources" not in deployed.stderr, "of the splitter only outputs change"
    done = cortex.run("cluster", "configure", write(tmp_path, NEW, GPU), "--yes")
    assert done.returncode == 0, done.stderr
    assert "cluster local: ending the instances of cpu\n" in done.stderr
    tasks = running_tasks(cortex)
    assert {task["capacityProviderName"] for task in tasks} == {"cortex-local_new"}
    assert {task["lastStatus"] for task in tasks} == {"RUNNING"}, "they moved when they were deployed"
    assert {api["status"] for api in cortex.json("get", "--env", "local")} == {"live"}


def test_tags_reach_what_is_deployed_and_restart_nothing(cortex: Cortex, tmp_path: Path, project: Path) -> None:
    before = {task["taskArn"] for task in running_tasks(cortex)}
    cortex.ok("cluster", "configure", write(tmp_path, NEW, GPU, tags={"team": "vision"}), "--yes")
    cortex.ok("deploy", str(project))
    for stack in cortex.aws("cloudformation").describe_stacks()["Stacks"]:
        assert {"Key": "team", "Value": "vision"} in stack["Tags"], stack["StackName"]
    services = cortex.aws("ecs").describe_services(cluster="cortex-local", services=["a", "b"], include=["TAGS"])
    for service in services["services"]:
        assert {"key": "team", "value": "vision"} in service["tags"]
    assert {task["taskArn"] for task in running_tasks(cortex)} == before


def running_tasks(cortex: Cortex) -> Any:
    ecs = cortex.aws("ecs")
    listed = ecs.list_tasks(cluster="cortex-local")["taskArns"]
    return ecs.describe_tasks(cluster="cortex-local", tasks=listed)["tasks"]


def test_down_removes_splitters_and_apis_first_and_says_what_it_kept(cortex: Cortex, project: Path) -> None:
    cortex.ok("deploy", str(project))
    info = cortex.json("cluster", "info")
    assert {api["name"] for api in info["apis"]} == {"a", "b", "both"}
    group_in_use = refused(cortex, "cluster", "configure", write(project, GPU), "--yes")
    assert "instance_groups.new: APIs run on it" in group_in_use
    too_small = refused(cortex, "cluster", "configure", write(project, {**NEW, "instance_types": ["t3.small"]}, GPU))
    assert (
        "instance_groups.new: a runs on it, and a replica asks for 205 CPU units (0.2 vCPU), 3072 MiB: the largest"
        in too_small
    )

    done = cortex.run("cluster", "down")
    assert (done.returncode, "--yes" in done.stderr) == (1, True)
    assert "traffic splitters: both" in done.stdout
    done = cortex.run("cluster", "down", "--yes")
    assert done.returncode == 0, done.stderr
    steps = [line for line in done.stderr.splitlines() if line]
    assert steps.index("both: deleting") < min(steps.index("a: deleting"), steps.index("b: deleting"))
    assert steps[-2:] == ["cluster local: ending its instances", "cluster local: deleting its stack"]
    bucket = info["resources"]["bucket"]
    assert "removed the cluster local" in done.stdout
    assert f"kept the bucket {bucket}" in done.stdout
    assert bucket in {entry["Name"] for entry in cortex.aws("s3").list_buckets()["Buckets"]}
    assert cortex.aws("cloudformation").describe_stacks()["Stacks"] == []
    assert cortex.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []


def self_signed() -> dict[str, bytes]:
    """A certificate and its key, as ImportCertificate takes them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "models.example.com")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("models.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return {
        "Certificate": certificate.public_bytes(pem),
        "PrivateKey": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
    }


def test_a_cluster_with_a_certificate_takes_apis(cortex: Cortex, tmp_path: Path, project: Path) -> None:
    cortex.ok("local", "up")
    certificate = cortex.aws("acm").import_certificate(**self_signed())["CertificateArn"]
    file = write(tmp_path, load_balancer={"certificate_arn": certificate}, account="123456789012")
    assert "ready at https://" in cortex.ok("cluster", "up", file, "--yes")
    cortex.ok("deploy", str(project))
    info = cortex.json("cluster", "info")
    rules = cortex.aws("elbv2").describe_rules(ListenerArn=info["resources"]["listener_arn"])["Rules"]
    assert len(rules) == 4  # two APIs, a splitter, and what answers the rest
    [api] = [api for api in json.loads(cortex.ok("get", "--env", "local", "-o", "json")) if api["name"] == "a"]
    assert api["endpoint"].startswith("https://")
