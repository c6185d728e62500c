"""Creates, updates and deletes one resource, by a class of ours or else by moto's."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from moto.cloudformation.parsing import generate_resource_name, get_model_map
from moto.core.common_models import CloudFormationModel
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource

from cortex_cdk.localcloud.cloudformation.resource import REGISTRY, Place, Resource

# moto's own nested stacks and custom resources run inside the request and need Docker.
UNSUPPORTED = ("AWS::CloudFormation::Stack",)


class UnsupportedError(Exception):
    """The local cloud cannot do this to a resource of this type."""


@dataclass(frozen=True)
class Order:
    """A resource to be made or changed.

    Attributes:
        logical_id: The resource's name in the template.
        type: The resource type.
        name: The physical name, given or made up.
        properties: The resolved properties.
        stack_id: The stack that the resource belongs to.
        place: Account, region and tags of the stack.
    """

    logical_id: str
    type: str
    name: str
    properties: dict[str, Any]
    stack_id: str
    place: Place

    @property
    def json(self) -> dict[str, Any]:
        """The definition in the form that moto's classes read."""
        return {"Type": self.type, "Properties": self.properties}


def class_of(resource_type: str) -> type[CloudFormationModel]:
    """Return the class that makes resources of a type.

    Raises:
        UnsupportedError: There is no such class.
    """
    found = REGISTRY.get(resource_type) or get_model_map().get(resource_type)
    if found is None or resource_type in UNSUPPORTED:
        raise UnsupportedError(
            f"The local cloud cannot make resources of type {resource_type} "
            "(CONTRIBUTING says how a resource type is added)"
        )
    return found


def name_for(resource_type: str, properties: dict[str, Any], stack_name: str, logical_id: str) -> str:
    """Return the name that the properties give, or a unique one."""
    name = properties.get(class_of(resource_type).cloudformation_name_type() or "")
    return name if isinstance(name, str) else str(generate_resource_name(resource_type, stack_name, logical_id))


def create(order: Order) -> Any:
    """Make a resource. Return the object that stands for the resource."""
    kind = class_of(order.type)
    if issubclass(kind, Resource):
        return kind.create(order.name, order.properties, order.place)
    model = kind.create_from_cloudformation_json(
        order.name,
        order.json,
        order.place.account,
        order.place.region,
        LogicalId=order.logical_id,
        StackId=order.stack_id,
        ResourceType=order.type,
    )
    if issubclass(kind, TaggedEC2Resource):
        backend = ec2_backends[order.place.account][order.place.region]
        backend.create_tags([model.physical_resource_id], dict(order.place.tags))
    return model


def update(model: Any, order: Order) -> Any:
    """Change a resource in place. Return the object that stands for the resource from now on.

    Raises:
        UnsupportedError: moto cannot update the type.
    """
    if isinstance(model, Resource):
        model.update(order.properties, order.place)
        return model
    kind = class_of(order.type)
    if hasattr(kind.update_from_cloudformation_json, "__isabstractmethod__"):
        raise UnsupportedError(f"The local cloud cannot update a resource of type {order.type} in place")
    return kind.update_from_cloudformation_json(
        original_resource=model,
        new_resource_name=order.name,
        cloudformation_json=order.json,
        account_id=order.place.account,
        region_name=order.place.region,
    )


def delete(model: Any, order: Order) -> None:
    """Remove a resource.

    Raises:
        UnsupportedError: moto cannot delete the type.
    """
    if isinstance(model, Resource):
        model.delete(order.place)
        return
    # As in moto's parser: by the object's own method if there is one, else by a class method.
    own = getattr(model, "delete", None)
    if own and len(inspect.signature(own).parameters) == 2:
        own(order.place.account, order.place.region)
        return
    kind = class_of(order.type)
    if hasattr(kind.delete_from_cloudformation_json, "__isabstractmethod__"):
        raise UnsupportedError(f"The local cloud cannot delete a resource of type {order.type}")
    kind.delete_from_cloudformation_json(
        model.physical_resource_id, order.json, order.place.account, order.place.region
    )


def proven(model: Any, place: Place) -> bool | str:
    """Return whether a resource's last change has proved itself, or why it has failed since (``Resource.proven``)."""
    return model.proven(place) if isinstance(model, Resource) else True


def stabilized(model: Any, place: Place) -> bool | str:
    """Return whether the last change has taken effect, or a text that says why it failed."""
    return model.stabilized(place) if isinstance(model, Resource) else True


def gone(model: Any, place: Place) -> bool:
    """Return whether the deletion of a resource has ended."""
    return model.gone(place) if isinstance(model, Resource) else True
