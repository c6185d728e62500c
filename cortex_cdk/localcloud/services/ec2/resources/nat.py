"""The resource types of NAT gateways and their addresses. moto's CloudFormation makes them, but cannot remove them."""

from __future__ import annotations

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.services.ec2.resources.network import backend, set_tags


class ElasticIp(Resource):
    """An Elastic IP address."""

    type = "AWS::EC2::EIP"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """AllocateAddress."""
        address = backend(place).allocate_address(properties.get("Domain", "vpc"))
        made = cls(address.public_ip, {"AllocationId": address.allocation_id, "PublicIp": address.public_ip})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Tags."""
        set_tags(place, self.attributes["AllocationId"], properties)

    def delete(self, place: Place) -> None:
        """ReleaseAddress."""
        backend(place).release_address(allocation_id=self.attributes["AllocationId"])


class NatGateway(Resource):
    """A NAT gateway."""

    type = "AWS::EC2::NatGateway"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateNatGateway."""
        gateway = backend(place).create_nat_gateway(
            properties["SubnetId"],
            properties.get("AllocationId"),
            connectivity_type=properties.get("ConnectivityType", "public"),
        )
        made = cls(gateway.id, {"NatGatewayId": gateway.id})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Tags."""
        set_tags(place, self.physical_resource_id, properties)

    def delete(self, place: Place) -> None:
        """DeleteNatGateway, and with it the network interface that holds on to the subnet."""
        ec2 = backend(place)
        gateway = ec2.delete_nat_gateway(self.physical_resource_id)
        for address in gateway.address_set:
            if address["networkInterfaceId"] in ec2.enis:
                ec2.delete_network_interface(address["networkInterfaceId"])
