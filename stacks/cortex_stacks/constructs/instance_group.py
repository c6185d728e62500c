"""The EC2 instances of an instance group: launch template, Auto Scaling group, capacity provider."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cortex_cdk import names
from cortex_cdk.capacity.instance_start import WARMUP_S, image_parameter
from cortex_cdk.config.sections import instance_group as config
from cortex_stacks.constructs.network import Network
from cortex_stacks.constructs.permissions import acknowledge

MANAGED_TAG = "AmazonECSManaged"
ROOT_DEVICE = "/dev/xvda"
# ECS_IMAGE_PULL_BEHAVIOR stays as it is: layers that are on the disk are not pulled again anyway, and with
# "prefer-cached" the agent removes no old images, until the disk is full (ECS developer guide, "Automated task and
# image cleanup"; the agent's log: "Disabling cleanup").
AGENT_OPTIONS = {
    "ECS_RESERVED_MEMORY": "256",
    "ECS_CONTAINER_START_TIMEOUT": "10m",
    # Without, ECS places no task with a dockerSecurityOptions such as no-new-privileges (API reference,
    # ContainerDefinition). SELinux of the AMI stays as it is.
    "ECS_SELINUX_CAPABLE": "true",
}
VOLUME_TYPES = {
    "gp2": ec2.EbsDeviceVolumeType.GP2,
    "gp3": ec2.EbsDeviceVolumeType.GP3,
    "io1": ec2.EbsDeviceVolumeType.IO1,
    "io2": ec2.EbsDeviceVolumeType.IO2,
}


class InstanceGroup(Construct):
    """One instance group of a cluster.

    Running instances keep their AMI and launch template; new instances get the latest. Every change goes through the
    launch template, because the Auto Scaling group itself cannot be replaced while tasks run.

    Args:
        cluster: The cluster's name.
        group: The group's configuration.
        network: The cluster's network.
        role: The instances' role.
        security_group: The instances' security group.
        public: Whether the instances get public addresses.

    Attributes:
        provider: Its capacity provider.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cluster: str,
        group: config.InstanceGroup,
        network: Network,
        role: iam.IRole,
        security_group: ec2.ISecurityGroup,
        public: bool,
    ) -> None:
        super().__init__(scope, id)
        template = self._launch_template(group, role, security_group, public=public)
        choice = _choice(group, template)
        instances = autoscaling.AutoScalingGroup(
            self,
            "Instances",
            vpc=network.vpc,
            vpc_subnets=network.instance_subnets,
            min_capacity=group.min_instances,
            max_capacity=group.max_instances,
            launch_template=None if choice else template,
            mixed_instances_policy=choice,
        )
        # ECS adds this tag only when the capacity provider is there. Instances that are launched before would register
        # without the provider's name, and get no task ("Auto Scaling group capacity providers", ECS developer guide).
        cdk.Tags.of(instances).add(MANAGED_TAG, "true", apply_to_launched_instances=True)
        acknowledge(instances, "AwsSolutions-EC26", "every volume is encrypted; the rule fails on a choice of types")
        acknowledge(instances, "AwsSolutions-AS3", "ECS scales the group; its events show in the service")
        self.provider = self._provider(names.capacity_provider(cluster, group.name), instances)

    def _provider(self, name: str, instances: autoscaling.AutoScalingGroup) -> ecs.AsgCapacityProvider:
        return ecs.AsgCapacityProvider(
            self,
            "Provider",
            capacity_provider_name=name,
            auto_scaling_group=instances,
            enable_managed_scaling=True,
            enable_managed_draining=True,
            # Without it scaling in may end a busy instance (containers-roadmap issue 1716). ECS leaves the protection
            # on groups that are deleted: clusters.instances takes it away.
            enable_managed_termination_protection=True,
            target_capacity_percent=100,
            instance_warmup_period=WARMUP_S,
        )

    def _launch_template(
        self, group: config.InstanceGroup, role: iam.IRole, security_group: ec2.ISecurityGroup, *, public: bool
    ) -> ec2.LaunchTemplate:
        volume = group.volume
        return ec2.LaunchTemplate(
            self,
            "Template",
            instance_type=ec2.InstanceType(group.instance_types[0]),
            machine_image=ec2.MachineImage.from_ssm_parameter(image_parameter(group.accelerator)),
            role=role,
            security_group=security_group,
            associate_public_ip_address=public,
            user_data=_user_data(group),
            # With one hop, containers (one bridge further) cannot take the role of their instance.
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[
                ec2.BlockDevice(
                    device_name=ROOT_DEVICE,
                    volume=ec2.BlockDeviceVolume.ebs(
                        volume.size,
                        volume_type=VOLUME_TYPES[volume.type],
                        iops=volume.provisioned_iops,
                        throughput=volume.provisioned_throughput,
                        encrypted=True,
                        delete_on_termination=True,
                    ),
                )
            ],
        )


def _user_data(group: config.InstanceGroup) -> ec2.UserData:
    options = AGENT_OPTIONS | ({"ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true"} if group.spot else {})
    data = ec2.UserData.for_linux()
    data.add_commands(*(f"echo {name}={value} >> /etc/ecs/ecs.config" for name, value in options.items()))
    return data


def _choice(group: config.InstanceGroup, template: ec2.LaunchTemplate) -> autoscaling.MixedInstancesPolicy | None:
    """Return how to choose between types, or between spot and on-demand; None where there is no choice."""
    spot = group.spot
    if not spot and len(group.instance_types) == 1:
        return None
    return autoscaling.MixedInstancesPolicy(
        launch_template=template,
        launch_template_overrides=[
            autoscaling.LaunchTemplateOverrides(instance_type=ec2.InstanceType(name)) for name in group.instance_types
        ],
        instances_distribution=autoscaling.InstancesDistribution(
            on_demand_allocation_strategy=autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
            on_demand_base_capacity=spot.on_demand_base if spot else 0,
            on_demand_percentage_above_base_capacity=spot.on_demand_percentage if spot else 100,
            spot_allocation_strategy=autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
            spot_max_price=str(spot.max_price) if spot and spot.max_price else None,
        ),
    )
