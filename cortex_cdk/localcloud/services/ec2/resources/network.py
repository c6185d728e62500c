"""The resource types of networks. moto's classes drop their tags, and cannot change or remove most of them."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_dict

CONTROLLED_BY_AWS = "aws:"
VPC_SWITCHES = {"EnableDnsHostnames": "enable_dns_hostnames", "EnableDnsSupport": "enable_dns_support"}


def backend(place: Place) -> Any:
    """Return moto\'s EC2 of a region."""
    return ec2_backends[place.account][place.region]


def set_tags(place: Place, resource_id: str, properties: Properties) -> None:
    """Give a resource the tags of its properties and its stack. Take all others away but the tags that AWS adds."""
    ec2, wanted = backend(place), {**place.tags, **as_dict(properties.get("Tags"))}
    ours = {key: value for key, value in ec2.tags[resource_id].items() if not key.startswith(CONTROLLED_BY_AWS)}
    ec2.delete_tags([resource_id], {key: value for key, value in ours.items() if key not in wanted})
    ec2.create_tags([resource_id], wanted)


class Vpc(Resource):
    """A VPC."""

    type = "AWS::EC2::VPC"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateVpc."""
        ec2 = backend(place)
        vpc = ec2.create_vpc(properties["CidrBlock"], properties.get("InstanceTenancy", "default"))
        group = ec2.get_security_group_from_name("default", vpc_id=vpc.id)
        made = cls(vpc.id, {"VpcId": vpc.id, "CidrBlock": vpc.cidr_block, "DefaultSecurityGroup": group.id})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """ModifyVpcAttribute and tags."""
        for name, attribute in VPC_SWITCHES.items():
            if name in properties:
                backend(place).modify_vpc_attribute(self.physical_resource_id, attribute, properties[name])
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteVpc."""
        backend(place).delete_vpc(self.physical_resource_id)


class Subnet(Resource):
    """A subnet."""

    type = "AWS::EC2::Subnet"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateSubnet."""
        subnet = backend(place).create_subnet(
            properties["VpcId"], properties["CidrBlock"], availability_zone=properties.get("AvailabilityZone")
        )
        zone = subnet.availability_zone
        made = cls(subnet.id, {"SubnetId": subnet.id, "VpcId": subnet.vpc_id, "AvailabilityZone": zone})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """ModifySubnetAttribute and tags."""
        backend(place).modify_subnet_attribute(
            self.physical_resource_id, "map_public_ip_on_launch", properties.get("MapPublicIpOnLaunch", False)
        )
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteSubnet."""
        backend(place).delete_subnet(self.physical_resource_id)


class RouteTable(Resource):
    """A route table."""

    type = "AWS::EC2::RouteTable"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateRouteTable."""
        table = backend(place).create_route_table(properties["VpcId"])
        made = cls(table.id, {"RouteTableId": table.id})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Tags."""
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteRouteTable."""
        backend(place).delete_route_table(self.physical_resource_id)


class SubnetRouteTableAssociation(Resource):
    """The route table of a subnet."""

    type = "AWS::EC2::SubnetRouteTableAssociation"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """AssociateRouteTable."""
        identifier = backend(place).associate_route_table(properties["RouteTableId"], subnet_id=properties["SubnetId"])
        return cls(identifier, {"Id": identifier})

    def update(self, properties: Properties, place: Place) -> None:
        """Do nothing: no property can change in place."""

    def delete(self, place: Place) -> None:
        """DisassociateRouteTable."""
        backend(place).disassociate_route_table(self.physical_resource_id)


class Route(Resource):
    """A route of a route table."""

    type = "AWS::EC2::Route"
    TARGETS = {  # noqa: RUF012 - a table
        "EgressOnlyInternetGatewayId": "egress_only_igw_id",
        "GatewayId": "gateway_id",
        "InstanceId": "instance_id",
        "NatGatewayId": "nat_gateway_id",
        "NetworkInterfaceId": "interface_id",
        "TransitGatewayId": "transit_gateway_id",
        "VpcPeeringConnectionId": "vpc_peering_connection_id",
    }

    def __init__(self, table: str, destination: str | None, destination_v6: str | None) -> None:
        super().__init__(f"{table}|{destination or destination_v6}", {"CidrBlock": destination or destination_v6})
        self.table, self.destination, self.destination_v6 = table, destination, destination_v6

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateRoute."""
        made = cls(
            properties["RouteTableId"],
            properties.get("DestinationCidrBlock"),
            properties.get("DestinationIpv6CidrBlock"),
        )
        made._set(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """ReplaceRoute."""
        self.delete(place)
        self._set(properties, place)

    def delete(self, place: Place) -> None:
        """DeleteRoute."""
        backend(place).delete_route(self.table, self.destination, self.destination_v6)

    def _set(self, properties: Properties, place: Place) -> None:
        targets = {argument: properties.get(name) for name, argument in self.TARGETS.items()}
        backend(place).create_route(self.table, self.destination, self.destination_v6, **targets)


class InternetGateway(Resource):
    """An internet gateway."""

    type = "AWS::EC2::InternetGateway"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateInternetGateway."""
        identifier = backend(place).create_internet_gateway().id
        made = cls(identifier, {"InternetGatewayId": identifier})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Tags."""
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteInternetGateway."""
        backend(place).delete_internet_gateway(self.physical_resource_id)


class GatewayAttachment(Resource):
    """An internet gateway attached to a VPC."""

    type = "AWS::EC2::VPCGatewayAttachment"

    def __init__(self, gateway: str, vpc: str) -> None:
        super().__init__(f"IGW|{vpc}", {"AttachmentType": "IGW"})
        self.gateway, self.vpc = gateway, vpc

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """AttachInternetGateway."""
        made = cls(properties["InternetGatewayId"], properties["VpcId"])
        backend(place).attach_internet_gateway(made.gateway, made.vpc)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Attach another gateway."""
        self.delete(place)
        self.gateway = properties["InternetGatewayId"]
        backend(place).attach_internet_gateway(self.gateway, self.vpc)

    def delete(self, place: Place) -> None:
        """DetachInternetGateway."""
        backend(place).detach_internet_gateway(self.gateway, self.vpc)


class VpcEndpoint(Resource):
    """A way from a VPC to a service of AWS."""

    type = "AWS::EC2::VPCEndpoint"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateVpcEndpoint."""
        endpoint = backend(place).create_vpc_endpoint(
            properties["VpcId"],
            properties["ServiceName"],
            properties.get("VpcEndpointType", "Gateway"),
            properties.get("PolicyDocument"),
            list(properties.get("RouteTableIds", [])),
            subnet_ids=properties.get("SubnetIds"),
            security_group_ids=properties.get("SecurityGroupIds"),
            private_dns_enabled=properties.get("PrivateDnsEnabled"),
        )
        made = cls(endpoint.id, {"Id": endpoint.id})
        set_tags(place, endpoint.id, properties)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """ModifyVpcEndpoint and tags."""
        endpoint = backend(place).describe_vpc_endpoints(vpc_end_point_ids=[self.physical_resource_id])[0]
        endpoint.policy_document = properties.get("PolicyDocument")
        endpoint.subnet_ids = properties.get("SubnetIds")
        endpoint.security_group_ids = properties.get("SecurityGroupIds")
        endpoint.route_table_ids = list(properties.get("RouteTableIds", []))
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteVpcEndpoints."""
        backend(place).delete_vpc_endpoints([self.physical_resource_id])
