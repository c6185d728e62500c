"""The domain of a cluster in its template: certificate, record, redirect, and the address of the endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from cortex_cdk.config import Cluster
from cortex_cdk.synthesis.specs import ClusterStackSpec
from tests.stacks.matrix import cluster_spec
from tests.stacks.synthesized import template_of

CERTIFICATE, RECORD = "AWS::CertificateManager::Certificate", "AWS::Route53::RecordSet"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
ZONE = "Z0123456789ABCDEFGHIJ"


def made(folder: Path, spec: ClusterStackSpec) -> Template:
    return template_of(spec, folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return made(tmp_path_factory.mktemp("cdk.out"), cluster_spec("domain"))


def only(template: Template, kind: str) -> tuple[str, dict[str, Any]]:
    ((name, resource),) = template.find_resources(kind).items()
    return name, resource["Properties"]


def test_the_certificate_is_proven_in_the_zone(template: Template) -> None:
    _, certificate = only(template, CERTIFICATE)
    assert (certificate["DomainName"], certificate["ValidationMethod"]) == ("api.example.com", "DNS")
    assert certificate["DomainValidationOptions"] == [{"DomainName": "api.example.com", "HostedZoneId": ZONE}]


def test_the_domain_leads_to_the_load_balancer(template: Template) -> None:
    balancer, _ = only(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    _, record = only(template, RECORD)
    assert record == {
        "Name": "api.example.com.",
        "Type": "A",
        "HostedZoneId": ZONE,
        "AliasTarget": {
            "DNSName": {"Fn::Join": ["", ["dualstack.", {"Fn::GetAtt": [balancer, "DNSName"]}]]},
            "HostedZoneId": {"Fn::GetAtt": [balancer, "CanonicalHostedZoneID"]},
            "EvaluateTargetHealth": False,
        },
    }


def test_plain_http_is_redirected(template: Template) -> None:
    certificate, _ = only(template, CERTIFICATE)
    template.has_resource_properties(
        LISTENER, {"Port": 443, "Certificates": [{"CertificateArn": {"Ref": certificate}}]}
    )
    redirect = {"Type": "redirect", "RedirectConfig": Match.object_like({"Port": "443", "StatusCode": "HTTP_301"})}
    template.has_resource_properties(LISTENER, {"Port": 80, "DefaultActions": [redirect]})


def test_endpoints_have_the_domain(template: Template) -> None:
    template.has_output("BaseUrl", {"Value": "https://api.example.com"})
    template.has_output("Domain", {"Value": "api.example.com"})


def test_a_zone_by_name_needs_no_look_up(tmp_path: Path) -> None:
    """As the stock CDK toolkit makes the template: the user writes the record that proves the domain."""
    cluster = Cluster.model_validate({"domain": "example.com", "hosted_zone": "example.com"})
    template = made(tmp_path, ClusterStackSpec(cluster=cluster))
    _, record = only(template, RECORD)
    assert (record["HostedZoneName"], "HostedZoneId" in record) == ("example.com.", False)
    assert "DomainValidationOptions" not in only(template, CERTIFICATE)[1]


def test_the_deployer_has_the_id_of_a_zone_by_name(tmp_path: Path) -> None:
    cluster = Cluster.model_validate({"domain": "a.example.com", "hosted_zone": "example.com"})
    template = made(tmp_path, ClusterStackSpec(cluster=cluster, hosted_zone_id=ZONE))
    assert only(template, RECORD)[1]["HostedZoneId"] == ZONE


def test_without_a_domain_there_is_none_of_it(tmp_path: Path) -> None:
    template = made(tmp_path, cluster_spec("plain"))
    template.resource_count_is(CERTIFICATE, 0)
    template.resource_count_is(RECORD, 0)
    assert "Domain" not in template.to_json()["Outputs"]
