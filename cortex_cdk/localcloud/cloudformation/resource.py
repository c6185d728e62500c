"""The base class of our resource types. ``localcloud.services`` tells how to add one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from moto.core.common_models import CloudFormationModel

Properties = Mapping[str, Any]

REGISTRY: dict[str, type[Resource]] = {}
"""Our classes by the resource types that they make. They win over moto's classes."""


@dataclass(frozen=True)
class Place:
    """The account and region of a resource, and the tags of its stack.

    Attributes:
        account: Account id.
        region: Region name.
        tags: Tags of the stack, and those that CloudFormation itself adds.
    """

    account: str
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Resource(CloudFormationModel):
    """A resource that CloudFormation makes: the values of ``Ref`` and ``Fn::GetAtt``, and how the resource changes.

    An object of this class is part of the stored state. So it keeps identifiers, never clients or threads.

    Attributes:
        type: The resource type that the class makes.
        name_property: The property that names the resource. CloudFormation makes up a name where it is missing.
    """

    type: ClassVar[str] = ""
    name_property: ClassVar[str] = ""

    def __init__(self, physical_resource_id: str, attributes: Mapping[str, Any] | None = None) -> None:
        self.physical_resource_id = physical_resource_id
        self.attributes = dict(attributes or {})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.type:
            REGISTRY[cls.type] = cls

    @classmethod
    def cloudformation_type(cls) -> str:
        """Return ``type``, under moto's name for it."""
        return cls.type

    @classmethod
    def cloudformation_name_type(cls) -> str:
        """Return ``name_property``, under moto's name for it."""
        return cls.name_property

    @classmethod
    @abstractmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """Make the resource.

        Args:
            name: The value of ``name_property``, or a unique name made up by CloudFormation.
            properties: Resolved properties.
            place: Account and region.
        """

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether something of this type is called so, made by whomever."""
        return False

    @abstractmethod
    def update(self, properties: Properties, place: Place) -> None:
        """Change the resource in place. Properties that cannot change in place are the same as before."""

    @abstractmethod
    def delete(self, place: Place) -> None:
        """Remove the resource. A resource that is gone already is no error."""

    def actual(self, expected: Properties, place: Place) -> Properties | None:
        """Return properties as they are in fact, for drift detection.

        Args:
            expected: The properties that the template gives.
            place: Account and region.

        Returns:
            The properties that can have changed, none where the type cannot tell; None where the resource is gone.
        """
        return {}

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """Return the value of ``Fn::GetAtt``.

        Raises:
            UnformattedGetAttTemplateException: The type has no such attribute.
        """
        from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

        if attribute_name not in self.attributes:
            raise UnformattedGetAttTemplateException
        return self.attributes[attribute_name]

    def stabilized(self, place: Place) -> bool | str:
        """Return whether the last change has taken effect, or a text that says why it never will."""
        return True

    def proven(self, place: Place) -> bool | str:
        """Return whether the last change has proved itself after the update, or a text that says why it has failed."""
        return True

    def gone(self, place: Place) -> bool:
        """Return whether the deletion has ended."""
        return True


class PutResource(Resource):
    """A resource that one action of AWS both makes and changes."""

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """Make the resource by ``update``."""
        made = cls(name)
        made.update(properties, place)
        return made
