"""Templates of resources for tests, and a stack that is created, changed in place and deleted."""

from __future__ import annotations

import copy
from typing import Any

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.localcloud.stacks import Stacks, template


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def attribute(name: str, path: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, path]}


def network(**vpc: Any) -> dict[str, Any]:
    """Two public subnets, as the cluster stack has them."""
    made = template(
        Vpc=resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16", EnableDnsHostnames=True, Tags=tags(Name="net"), **vpc),
        Gateway=resource("AWS::EC2::InternetGateway", Tags=tags(Name="gate")),
        Attached=resource("AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")),
        Table=resource("AWS::EC2::RouteTable", VpcId=ref("Vpc"), Tags=tags(Name="table")),
        Route={
            **resource(
                "AWS::EC2::Route",
                RouteTableId=ref("Table"),
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=ref("Gateway"),
            ),
            "DependsOn": "Attached",
        },
        Endpoint=resource(
            "AWS::EC2::VPCEndpoint",
            VpcId=ref("Vpc"),
            ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
            VpcEndpointType="Gateway",
            RouteTableIds=[ref("Table")],
        ),
    )
    for number in (0, 1):
        made["Resources"][f"Subnet{number}"] = resource(
            "AWS::EC2::Subnet",
            VpcId=ref("Vpc"),
            CidrBlock=f"10.0.{number}.0/24",
            AvailabilityZone={"Fn::Select": [number, {"Fn::GetAZs": ""}]},
            MapPublicIpOnLaunch=True,
        )
        made["Resources"][f"Association{number}"] = resource(
            "AWS::EC2::SubnetRouteTableAssociation", SubnetId=ref(f"Subnet{number}"), RouteTableId=ref("Table")
        )
    return made


def changed(content: dict[str, Any], name: str, **properties: Any) -> dict[str, Any]:
    """The same template with other properties of one resource; None removes one."""
    made = copy.deepcopy(content)
    wanted = {**made["Resources"][name]["Properties"], **properties}
    made["Resources"][name]["Properties"] = {key: value for key, value in wanted.items() if value is not None}
    return made


class Lifecycle:
    """One stack that is created, changed and deleted."""

    def __init__(self, cloud: Endpoint, name: str, content: dict[str, Any]) -> None:
        self.stacks, self.name = Stacks(cloud), name
        stack = self.stacks.create(name, content)
        assert stack["StackStatus"] == "CREATE_COMPLETE", self.stacks.reasons(name, "CREATE_FAILED")
        self.ids = {key: physical for key, (physical, _) in self.stacks.resources(name).items()}

    def change(self, content: dict[str, Any]) -> None:
        stack = self.stacks.update(self.name, content)
        assert stack["StackStatus"] == "UPDATE_COMPLETE", self.stacks.reasons(self.name, "UPDATE_FAILED")
        now = {key: physical for key, (physical, _) in self.stacks.resources(self.name).items()}
        assert now == self.ids, "changed in place, so nothing is replaced"

    def delete(self) -> None:
        stack = self.stacks.delete(self.name)
        assert stack["StackStatus"] == "DELETE_COMPLETE", self.stacks.reasons(stack["StackId"], "DELETE_FAILED")
