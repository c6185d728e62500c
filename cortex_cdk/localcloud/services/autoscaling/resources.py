"""The resource type of EC2 Auto Scaling: groups of instances."""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import autoscaling_backends

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource

GIVE_UP_AFTER = 6.0
"""Seconds for which CloudFormation waits for the instances of a group. On AWS it waits some minutes."""


def backend(place: Place) -> Any:
    """Return moto's Auto Scaling of a region."""
    return autoscaling_backends[place.account][place.region]


class AutoScalingGroup(Resource):
    """An Auto Scaling group."""

    type = "AWS::AutoScaling::AutoScalingGroup"
    name_property = "AutoScalingGroupName"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateAutoScalingGroup."""
        group = backend(place).create_auto_scaling_group(
            name=name,
            default_cooldown=properties.get("Cooldown"),
            load_balancers=properties.get("LoadBalancerNames", []),
            target_group_arns=properties.get("TargetGroupARNs", []),
            placement_group=None,
            termination_policies=properties.get("TerminationPolicies", []),
            tags=_tags(name, properties),
            **_common(properties),
        )
        return cls(name, {"AutoScalingGroupARN": group.arn})

    def update(self, properties: Properties, place: Place) -> None:
        """UpdateAutoScalingGroup and tags."""
        autoscaling, name = backend(place), self.physical_resource_id
        group = autoscaling.update_auto_scaling_group(name=name, **_common(properties))
        group.tags = _tags(name, properties)

    def stabilized(self, place: Place) -> bool | str:
        """Return whether EC2 launches the instances; after a while in which it did not, why.

        Source of the words: the event of a group whose instances did not start, of CloudFormation's present handler.
        """
        group = backend(place).autoscaling_groups[self.physical_resource_id]
        if group.failing_since is None:
            return True
        if steady_clock.now() - group.failing_since < GIVE_UP_AFTER:
            return False
        sizes = f"{len(group.members)}/{group.min_size}/{group.desired_capacity}"
        return (
            f"Group did not stabilize. {{current/minimum/target group size = {sizes}}}. Failed Scaling Activity: "
            f"{group.last_failure}"
        )

    def delete(self, place: Place) -> None:
        """Let the group have no instances; ``gone`` deletes it once they have ended."""
        group = backend(place).autoscaling_groups.get(self.physical_resource_id)
        if group is not None:
            group.min_size = group.max_size = group.desired_capacity = 0

    def gone(self, place: Place) -> bool:
        """DeleteAutoScalingGroup, with the instances that may end: one that is protected from scale-in does not."""
        group = backend(place).autoscaling_groups.get(self.physical_resource_id)
        if group is not None and any(member.is_protected for member in group.members):
            return False
        backend(place).delete_auto_scaling_group(self.physical_resource_id)
        return True


def _common(properties: Properties) -> dict[str, Any]:
    return {
        "availability_zones": properties.get("AvailabilityZones", []),
        "desired_capacity": _number(properties.get("DesiredCapacity")),
        "max_size": _number(properties["MaxSize"]),
        "min_size": _number(properties["MinSize"]),
        "launch_config_name": properties.get("LaunchConfigurationName"),
        "launch_template": dict(properties.get("LaunchTemplate", {})),
        "vpc_zone_identifier": ",".join(properties.get("VPCZoneIdentifier", [])) or None,
        "health_check_period": _number(properties.get("HealthCheckGracePeriod")),
        "health_check_type": properties.get("HealthCheckType"),
        "new_instances_protected_from_scale_in": properties.get("NewInstancesProtectedFromScaleIn", False),
        "mixed_instances_policy": dict(properties.get("MixedInstancesPolicy", {})),
    }


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _tags(name: str, properties: Properties) -> list[dict[str, Any]]:
    own = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
    return [{**own, **tag, "PropagateAtLaunch": _flag(tag)} for tag in properties.get("Tags", [])]


def _flag(tag: Properties) -> str:
    # moto keeps the flag as the API sends it, as text.
    return str(tag.get("PropagateAtLaunch", False)).lower()
