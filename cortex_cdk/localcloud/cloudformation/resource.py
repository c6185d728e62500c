"""The base class of the resource types that moto's CloudFormation lacks or has in part."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from moto.core.common_models import CloudFormationModel

Properties = Mapping[str, Any]

REGISTRY: dict[str, type[Resource]] = {}
"""The classes of this package by the type that they make; they win over moto's."""


@dataclass(frozen=True)
class Place:
    """Where a resource is made, and for which stack.

    Attributes:
        account: Account id.
        region: Region name.
        tags: Tags of the stack, and those that CloudFormation itself adds.
    """

    account: str
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Resource(CloudFormationModel):
    """A resource made by CloudFormation: what ``Ref`` and ``Fn::GetAtt`` give, and how it changes.

    An object of it is part of the stored state: it keeps identifiers, never clients or threads.

    Attributes:
        type: The resource type that the class makes.
        name_property: The property that names it; CloudFormation makes up a name where it is missing.
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
        """moto's name for ``type``."""
        return cls.type

    @classmethod
    def cloudformation_name_type(cls) -> str:
        """moto's name for ``name_property``."""
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
        """Whether something of this type is called so, made by whomever."""
        return False

    @abstractmethod
    def update(self, properties: Properties, place: Place) -> None:
        """Change the resource in place; properties that cannot change in place are the same as before."""

    @abstractmethod
    def delete(self, place: Place) -> None:
        """Remove the resource; one that is already gone is not an error."""

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """What ``Fn::GetAtt`` gives.

        Raises:
            UnformattedGetAttTemplateException: The type has no such attribute.
        """
        from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

        if attribute_name not in self.attributes:
            raise UnformattedGetAttTemplateException
        return self.attributes[attribute_name]

    def stabilized(self, place: Place) -> bool | str:
        """Whether it has reached the state that the last change asked for; a text says why it never will."""
        return True

    def gone(self, place: Place) -> bool:
        """Whether a deletion has run its course."""
        return True


class PutResource(Resource):
    """A resource that one action makes and changes: what a template says is put in place either way."""

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """Put it under its name."""
        made = cls(name)
        made.update(properties, place)
        return made
