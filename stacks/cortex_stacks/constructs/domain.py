"""The domain of a cluster: its certificate, and the record that leads to the load balancer."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_route53 as route53
from constructs import Construct


class Domain(Construct):
    """A certificate that is proven by DNS, and an alias record.

    With the zone's id, CloudFormation writes the record that proves the domain, and the certificate renews itself. A
    zone that is only known by name (the stock CDK toolkit asks no account) leaves that record to the user.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-certificatemanager-certificate.html

    Args:
        domain: Such as ``api.example.com``.
        zone_id: The id of the hosted zone.
        zone_name: The name of the zone, where the id is not known.

    Attributes:
        certificate_arn: The certificate.
    """

    def __init__(self, scope: Construct, id: str, *, domain: str, zone_id: str | None, zone_name: str) -> None:
        super().__init__(scope, id)
        self._domain = domain
        self._zone: dict[str, Any] = {"hosted_zone_id": zone_id} if zone_id else {"hosted_zone_name": f"{zone_name}."}
        proof = acm.CfnCertificate.DomainValidationOptionProperty(domain_name=domain, hosted_zone_id=zone_id)
        self.certificate_arn = acm.CfnCertificate(
            self,
            "Certificate",
            domain_name=domain,
            validation_method="DNS",
            domain_validation_options=[proof] if zone_id else None,
        ).ref

    def lead_to(self, balancer: elb.ApplicationLoadBalancer) -> None:
        """Let the domain lead to a load balancer, which has IPv4 addresses only: an A record, and no AAAA record."""
        route53.CfnRecordSet(
            self,
            "Address",
            **self._zone,
            name=f"{self._domain}.",
            type="A",
            alias_target=route53.CfnRecordSet.AliasTargetProperty(
                dns_name=f"dualstack.{balancer.load_balancer_dns_name}",
                hosted_zone_id=balancer.load_balancer_canonical_hosted_zone_id,
                evaluate_target_health=False,
            ),
        )
