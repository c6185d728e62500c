"""The resource types of Application Auto Scaling: scalable targets and scaling policies."""

from __future__ import annotations

from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource

POLICY_BODIES = ("TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration")


def backend(place: Place) -> Any:
    """Return moto's Application Auto Scaling of a region."""
    return applicationautoscaling_backends[place.account][place.region]


class ScalableTarget(Resource):
    """A scalable target: a service, and the bounds of its capacity."""

    type = "AWS::ApplicationAutoScaling::ScalableTarget"

    def __init__(self, namespace: str, resource_id: str, dimension: str) -> None:
        identifier = f"{resource_id}|{dimension}|{namespace}"
        super().__init__(identifier, {"Id": identifier})
        self.key = (namespace, resource_id, dimension)

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """RegisterScalableTarget."""
        made = cls(properties["ServiceNamespace"], properties["ResourceId"], properties["ScalableDimension"])
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """RegisterScalableTarget."""
        backend(place).register_scalable_target(
            *self.key,
            int(properties["MinCapacity"]),
            int(properties["MaxCapacity"]),
            properties.get("RoleARN"),
            properties.get("SuspendedState"),
        )

    def actual(self, expected: Properties, place: Place) -> Properties | None:
        """The bounds."""
        _, resource_id, dimension = self.key
        target = backend(place).targets.get(dimension, {}).get(resource_id)
        if target is None:
            return None
        bounds = {"MinCapacity": target.min_capacity, "MaxCapacity": target.max_capacity}
        # A template may give a number as text.
        return {name: type(expected[name])(value) for name, value in bounds.items()}

    def delete(self, place: Place) -> None:
        """DeregisterScalableTarget."""
        backend(place).deregister_scalable_target(*self.key)


class ScalingPolicy(Resource):
    """A scaling policy of a scalable target."""

    type = "AWS::ApplicationAutoScaling::ScalingPolicy"

    def __init__(self, name: str, key: tuple[str, str, str], arn: str) -> None:
        super().__init__(arn, {"Arn": arn})
        self.name, self.key = name, key

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """PutScalingPolicy."""
        made = cls(properties["PolicyName"], _target(properties), "")
        made.physical_resource_id = made.attributes["Arn"] = made._put(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """PutScalingPolicy."""
        policy = self._put(properties, place)
        self.physical_resource_id = self.attributes["Arn"] = policy

    def delete(self, place: Place) -> None:
        """DeleteScalingPolicy."""
        backend(place).delete_scaling_policy(self.name, *self.key)

    def _put(self, properties: Properties, place: Place) -> str:
        body = next(properties[name] for name in POLICY_BODIES if name in properties)
        policy = backend(place).put_scaling_policy(self.name, *self.key, body, properties["PolicyType"])
        return str(policy.policy_arn)


def _target(properties: Properties) -> tuple[str, str, str]:
    if "ScalingTargetId" in properties:
        resource_id, dimension, namespace = properties["ScalingTargetId"].split("|")
        return namespace, resource_id, dimension
    return properties["ServiceNamespace"], properties["ResourceId"], properties["ScalableDimension"]
