"""A cluster with a domain, as a user makes it, against the local cloud's Route 53 and Certificate Manager."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Cortex
from tests.local.clusters.test_cluster import CPU, refused, write
from tests.local.waiting import until

DOMAIN, ZONE = "api.example.com", "example.com"
PREDICTOR = """\
import os


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        return [headers["host"], headers["x-forwarded-proto"], os.environ["CORTEX_BASE_URL"]]
"""


def with_domain(folder: Path, zone: str, domain: str = DOMAIN) -> str:
    folder.mkdir(exist_ok=True)
    return write(folder, CPU, domain=domain, hosted_zone=zone)


@pytest.fixture(scope="module")
def zone(cortex: Cortex) -> str:
    """The id of the user's hosted zone. There is a private one of the same name."""
    cortex.ok("local", "up")
    route53 = cortex.aws("route53")
    vpc = {"VPCRegion": "us-east-1", "VPCId": "vpc-0123456789abcdef0"}
    route53.create_hosted_zone(Name=ZONE, CallerReference="inside", VPC=vpc, HostedZoneConfig={"PrivateZone": True})
    made = route53.create_hosted_zone(Name=ZONE, CallerReference="outside")
    return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")


@pytest.fixture(scope="module")
def project(cortex: Cortex, zone: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an API that is deployed on a cluster with a domain."""
    folder = tmp_path_factory.mktemp("project")
    said = cortex.ok("cluster", "up", with_domain(folder, ZONE), "--yes")
    assert f"the cluster local is ready at https://{DOMAIN}" in said
    (folder / "predictor.py").write_text(PREDICTOR)
    api = {"name": "there", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (folder / "cortex.yaml").write_text(json.dumps([{**api, "compute": {"cpu": "200m", "mem": "200Mi"}}]))
    cortex.ok("deploy", cwd=folder)
    return folder


@pytest.mark.parametrize(
    ("named", "domain", "message"),
    [
        ("example.org", "api.example.org", "there is no hosted zone example.org in this account"),
        ("Z0000000000", DOMAIN, "there is no hosted zone Z0000000000 in this account"),
        ("private.org", "api.private.org", "the hosted zone private.org is private"),
        ("twice.org", "api.twice.org", "there are several public hosted zones twice.org"),
        ("", "api.example.org", "api.example.org is not in the hosted zone "),
    ],
)
def test_a_zone_that_cannot_be_used_is_found_before_anything_is_made(
    cortex: Cortex, zone: str, tmp_path: Path, named: str, domain: str, message: str
) -> None:
    route53 = cortex.aws("route53")
    if named == "private.org":
        vpc = {"VPCRegion": "us-east-1", "VPCId": "vpc-0123456789abcdef0"}
        private = {"PrivateZone": True}
        route53.create_hosted_zone(Name=named, CallerReference=named, VPC=vpc, HostedZoneConfig=private)
    for number in (0, 1) if named == "twice.org" else ():
        route53.create_hosted_zone(Name=named, CallerReference=f"{named}{number}")
    said = refused(cortex, "cluster", "up", with_domain(tmp_path, named or zone, domain), "--yes")
    assert message in said
    stacks = [stack["StackName"] for stack in cortex.aws("cloudformation").describe_stacks()["Stacks"]]
    assert stacks == []


def test_a_public_cluster_without_tls_says_so_before_it_is_made(cortex: Cortex, zone: str, tmp_path: Path) -> None:
    cortex.ok("env", "configure", "prod", "--endpoint-url", cortex.control_url)
    keys = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    said = cortex.run("cluster", "up", write(tmp_path, CPU), "--env", "prod", environ=keys).stderr
    assert "warning: everybody on the internet can reach the cluster, and requests are not encrypted: give" in said
    assert "warning: everybody on the internet can send requests to every API without authentication" in said
    hidden = write(tmp_path, CPU, load_balancer={"scheme": "internal"})
    inside = cortex.run("cluster", "up", hidden, "--env", "prod", environ=keys).stderr
    assert "nobody can be asked" in inside
    assert "everybody" not in inside
    assert "everybody" not in refused(cortex, "cluster", "up", write(tmp_path, CPU)), "nobody reaches this machine"


def test_the_account_has_certificate_and_records(cortex: Cortex, project: Path, zone: str) -> None:
    (certificate,) = cortex.aws("acm").list_certificates()["CertificateSummaryList"]
    assert certificate["DomainName"] == DOMAIN
    records = cortex.aws("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = {record["Type"]: record for record in records}
    assert found.keys() == {"NS", "SOA", "A", "CNAME"}
    assert found["A"]["Name"] == f"{DOMAIN}."
    assert found["CNAME"]["Name"].endswith(f".{DOMAIN}."), "it proves the domain"


def test_every_command_speaks_of_the_domain(cortex: Cortex, project: Path) -> None:
    assert cortex.json("get", "there")["endpoint"] == f"https://{DOMAIN}/there"
    info = cortex.json("cluster", "info")
    assert info["endpoint"] == f"https://{DOMAIN}"
    assert info["exposure"] == []
    shown = cortex.ok("cluster", "info")
    assert f"endpoint:  https://{DOMAIN}\nleads to:  {info['load_balancer']}\n" in shown
    assert urlsplit(f"//{info['load_balancer']}").hostname == "127.0.0.1"


def test_predict_goes_to_the_load_balancer_in_the_name_of_the_domain(cortex: Cortex, project: Path) -> None:
    host, scheme, base = json.loads(cortex.ok("predict", "there", "-", stdin="{}"))
    assert (host, scheme, base) == (DOMAIN, "https", f"https://{DOMAIN}")


def test_any_client_that_trusts_the_certificate_can_check_the_name(cortex: Cortex, project: Path) -> None:
    (summary,) = cortex.aws("acm").list_certificates()["CertificateSummaryList"]
    pem = cortex.aws("acm").get_certificate(CertificateArn=summary["CertificateArn"])["Certificate"]
    where = urlsplit(f"//{cortex.json('cluster', 'info')['load_balancer']}")
    context = ssl.create_default_context(cadata=pem)
    address = (where.hostname or "", where.port or 0)
    with socket.create_connection(address, timeout=30) as plain, context.wrap_socket(plain, server_hostname=DOMAIN):
        pass


def test_the_domain_may_change_and_not_go(cortex: Cortex, project: Path, zone: str, tmp_path: Path) -> None:
    said = refused(cortex, "cluster", "configure", write(tmp_path, CPU), "--yes")
    assert f"domain: {DOMAIN} -> none: the APIs' rules are on the HTTPS listener" in said
    cortex.ok("cluster", "configure", with_domain(tmp_path, zone, "models.example.com"), "--yes")
    assert cortex.json("get", "there")["endpoint"] == "https://models.example.com/there"
    assert json.loads(cortex.ok("predict", "there", "-", stdin="{}"))[0] == "models.example.com"
    records = cortex.aws("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [record["Name"] for record in records if record["Type"] == "A"] == ["models.example.com."]


def test_everything_outlives_an_upgrade_of_the_local_cloud(cortex: Cortex, project: Path, zone: str) -> None:
    """The snapshot belongs to one version. Without it, the account is made again from its records."""
    cortex.ok("local", "down")
    (cortex.home / "local" / "state.snapshot").write_bytes(b"of another version")
    cortex.ok("local", "up")
    until(lambda: cortex.json("get", "there")["status"] == "live")
    assert json.loads(cortex.ok("predict", "there", "-", stdin="{}"))[0] == "models.example.com"
    records = cortex.aws("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert {record["Type"] for record in records} == {"NS", "SOA", "A", "CNAME"}


def test_down_removes_the_record_and_the_certificate(cortex: Cortex, project: Path, zone: str) -> None:
    cortex.json("cluster", "down", "--yes")
    assert cortex.aws("acm").list_certificates()["CertificateSummaryList"] == []
    records = cortex.aws("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert "A" not in {record["Type"] for record in records}
