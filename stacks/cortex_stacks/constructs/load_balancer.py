"""The load balancer of a cluster: the only way to its APIs."""

from __future__ import annotations

import ipaddress

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct
from cortex_serving.contract import BALANCER_IDLE_TIMEOUT_S

from cortex_cdk.config.cluster import Cluster, LoadBalancer
from cortex_stacks.constructs.domain import Domain
from cortex_stacks.constructs.network import Network
from cortex_stacks.constructs.permissions import acknowledge

HTTP_PORT, HTTPS_PORT = 80, 443
NOT_FOUND = '{"message":"no API has this endpoint"}'
# Docker gives containers host ports from this range (ECS documentation, "dynamic host port mapping").
DYNAMIC_PORTS = ec2.Port.tcp_range(32768, 65535)


class ClusterLoadBalancer(Construct):
    """Load balancer, its security group, and the listener that carries the rules.

    Args:
        network: The cluster's network.
        cluster: The cluster's configuration.
        domain: Its domain, if it has one.

    Attributes:
        load_balancer: The Application Load Balancer.
        listener: Port 443 with a certificate (80 then redirects to it), port 80 without.
        base_url: Scheme and host, without a slash at the end.
    """

    def __init__(self, scope: Construct, id: str, *, network: Network, cluster: Cluster, domain: Domain | None) -> None:
        super().__init__(scope, id)
        settings = cluster.load_balancer
        self._security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=network.vpc,
            description="Cortex load balancer",
            allow_all_outbound=False,
        )
        self.load_balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=network.vpc,
            vpc_subnets=network.load_balancer_subnets,
            internet_facing=settings.scheme == "internet-facing",
            security_group=self._security_group,
            drop_invalid_header_fields=True,
            idle_timeout=cdk.Duration.seconds(BALANCER_IDLE_TIMEOUT_S),
        )
        certificate_arn = domain.certificate_arn if domain else settings.certificate_arn
        scheme, self.listener = self._listen(settings, certificate_arn)
        self.base_url = f"{scheme}://{cluster.domain or self.load_balancer.load_balancer_dns_name}"
        if domain:
            domain.lead_to(self.load_balancer)
        acknowledge(self.load_balancer, "AwsSolutions-ELB2", "access logs are billed by request; replicas log requests")

    def admit_to(self, instances: ec2.SecurityGroup) -> None:
        """Open the ports of replicas on these instances to the load balancer only."""
        instances.add_ingress_rule(self._security_group, DYNAMIC_PORTS, "replicas, from the load balancer")
        self._security_group.add_egress_rule(instances, DYNAMIC_PORTS, "replicas")

    def _listen(self, settings: LoadBalancer, certificate_arn: str | None) -> tuple[str, elb.ApplicationListener]:
        not_found = elb.ListenerAction.fixed_response(404, content_type="application/json", message_body=NOT_FOUND)
        self._admit(HTTP_PORT, settings)
        if not certificate_arn:
            return "http", self.load_balancer.add_listener("Http", port=HTTP_PORT, open=False, default_action=not_found)
        self._admit(HTTPS_PORT, settings)
        self.load_balancer.add_listener(
            "Http",
            port=HTTP_PORT,
            open=False,
            default_action=elb.ListenerAction.redirect(protocol="HTTPS", port=str(HTTPS_PORT), permanent=True),
        )
        return "https", self.load_balancer.add_listener(
            "Https",
            port=HTTPS_PORT,
            open=False,
            certificates=[elb.ListenerCertificate.from_arn(certificate_arn)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            default_action=not_found,
        )

    def _admit(self, port: int, settings: LoadBalancer) -> None:
        for cidr in settings.allowed_cidrs:
            version = ipaddress.ip_network(cidr).version
            peer = ec2.Peer.ipv4(cidr) if version == 4 else ec2.Peer.ipv6(cidr)
            self._security_group.add_ingress_rule(peer, ec2.Port.tcp(port), "requests")
        acknowledge(self._security_group, "AwsSolutions-EC23", "load_balancer.allowed_cidrs says who may send requests")
