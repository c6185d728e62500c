"""The VPC of a cluster: a new one, or an existing one, named by its ids."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cortex_cdk.config.cluster import Cluster, Vpc
from cortex_stacks.constructs.permissions import acknowledge

NAT_GATEWAYS = {"none": 0, "single": 1, "highly_available": None}
# The load balancer needs two zones. Unless they are named, the template takes the first two of its region.
DEFAULT_ZONES = 2


class Network(Construct):
    """VPC, and the subnets of the load balancer and of the instances.

    Args:
        cluster: The cluster's configuration.

    Attributes:
        vpc: The VPC.
        load_balancer_subnets: Public ones, unless the load balancer is internal and the instances are private.
        instance_subnets: Public or private ones, as the cluster says.
    """

    def __init__(self, scope: Construct, id: str, cluster: Cluster) -> None:
        super().__init__(scope, id)
        private = cluster.subnet_visibility == "private"
        internal = cluster.load_balancer.scheme == "internal"
        if cluster.vpc.id:
            public_subnets, private_subnets = self._existing_subnets(cluster.vpc)
            self.vpc = ec2.Vpc.from_vpc_attributes(
                # Subnets are named where they are used, so that nothing asks for the zones.
                self,
                "Vpc",
                vpc_id=cluster.vpc.id,
                availability_zones=["any"],
            )
        else:
            public_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
            private_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
            self.vpc = self._new_vpc(cluster, private=private)
        self.load_balancer_subnets = private_subnets if private and internal else public_subnets
        self.instance_subnets = private_subnets if private else public_subnets

    def _new_vpc(self, cluster: Cluster, *, private: bool) -> ec2.IVpc:
        kinds = [ec2.SubnetType.PUBLIC, *([ec2.SubnetType.PRIVATE_WITH_EGRESS] if private else [])]
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(cluster.vpc.cidr),
            availability_zones=list(cluster.availability_zones) or None,
            max_azs=None if cluster.availability_zones else DEFAULT_ZONES,
            nat_gateways=NAT_GATEWAYS[cluster.nat_gateway],
            subnet_configuration=[
                ec2.SubnetConfiguration(name=kind.name.split("_")[0].title(), subnet_type=kind) for kind in kinds
            ],
            # A restriction needs a Lambda asset, and so a bootstrapped account. Nothing uses the default group.
            restrict_default_security_group=False,
        )
        # Costs nothing, and keeps the traffic of models and project archives away from the NAT gateway.
        vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        acknowledge(vpc, "AwsSolutions-VPC7", "flow logs are billed by traffic; users add them where they must be kept")
        return vpc

    def _existing_subnets(self, vpc: Vpc) -> tuple[ec2.SubnetSelection, ec2.SubnetSelection]:
        public, private = (
            ec2.SubnetSelection(
                subnets=[ec2.Subnet.from_subnet_id(self, f"{kind}{index}", id) for index, id in enumerate(ids)]
            )
            for kind, ids in (("Public", vpc.public_subnets), ("Private", vpc.private_subnets))
        )
        return public, private
